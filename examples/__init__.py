"""Clients of the public API, each an application of its own."""
