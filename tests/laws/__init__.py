"""The laws that the system keeps whatever happens, stated once for every test that checks them.

Read ``law`` for the list and ``checks`` for the checks that several tests share. ``tests/stateful``
checks the laws after every step of random operations, ``tests/chaos`` after an attack on the whole
stack, ``tests/model`` in every state of a small model. ``tests/mutations`` breaks the laws.
"""
