"""Brings a database to the newest schema: the product's, and the transcoder's beside it."""

from pipeline.runtime.migrate import migrate
from transcoder.migrate import upgrade


def migrate_all(owner_url: str) -> None:
    """Run both histories; nothing happens when both are at their head.

    They share a database here because one machine needs one; nothing in either knows the other.
    """
    migrate(owner_url)
    upgrade(owner_url)
