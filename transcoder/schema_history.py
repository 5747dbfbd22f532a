"""Migration history of the transcoder's schema."""

from pathlib import Path

from pipeline.runtime.migration_history import MigrationHistory
from transcoder.models import SCHEMA, Base

TRANSCODER_HISTORY = MigrationHistory(
    Path(__file__).parent / "migrations",
    lock="transcoder migrations",
    tables={*(table.name for table in Base.metadata.tables.values()), "metric_counts"},
    functions=("%",),
    schema=SCHEMA,
)
