"""The command line, ``khronika``: a client of the API, and an operator's two tools."""
