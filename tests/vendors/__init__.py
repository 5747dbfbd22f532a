"""Fakes of the vendors behind the adapters, at the socket, from their published contracts."""
