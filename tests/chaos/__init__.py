"""The fault run: the real stack under attack, and a checker that believes only the books.

``python -m tests.chaos`` (``make chaos``). Read ``plan`` for what is done to the system, then
``tests/laws`` and ``verdicts`` for what must hold afterwards.
"""
