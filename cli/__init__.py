"""The ``khronika`` command line: a client of the API, and tools for operators."""
