"""Brings a database to the newest schema: the product's, and the transcoder's beside it."""

from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

import psycopg

from pipeline.database import migrate


def migrate_all(owner_url: str) -> None:
    """Run both histories; nothing happens when both are at their head.

    They share a database here because one machine needs one; nothing in either knows the other.
    """
    migrate(owner_url)
    if find_spec("transcoder.migrate"):
        import_module("transcoder.migrate").upgrade(owner_url)
    else:  # until its migrations exist, its login must
        with psycopg.connect(owner_url) as connection, suppress(psycopg.errors.DuplicateObject):
            connection.execute("CREATE ROLE khronika_transcoder LOGIN")
