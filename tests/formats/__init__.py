"""Formats of sources: the table, its page docs/formats.md, and the tests that hold each row."""
