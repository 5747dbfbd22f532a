"""Brings a database to the newest schema: the product's, and the transcoder's beside it."""

from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.migrate import migrate
from transcoder.schema_history import TRANSCODER_HISTORY


def migrate_all(owner_url: str) -> None:
    """Run both histories; nothing happens when both are at their head.

    They share a database here because one machine needs one; nothing in either knows the other.
    """
    migrate(PIPELINE_HISTORY, owner_url)
    migrate(TRANSCODER_HISTORY, owner_url)
