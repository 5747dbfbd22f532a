"""Random and mutated input against everything that parses what strangers send.

`make test` tries each property some hundred times from a fixed seed; `make fuzz` as often as
``EXAMPLES`` says, from a new one.
"""
