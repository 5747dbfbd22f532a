"""The two schemas of a stack's database: the product's, and the transcoder's beside it."""

from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.migrate import migrate
from transcoder.schema_history import TRANSCODER_HISTORY


def migrate_all(owner_url: str) -> None:
    """Run both migration histories; nothing happens if both are at their head.

    They share a database because one machine needs only one; neither knows the other.
    """
    migrate(PIPELINE_HISTORY, owner_url)
    migrate(TRANSCODER_HISTORY, owner_url)
