"""Migration history of the pipeline's schema."""

from pathlib import Path

from pipeline.runtime.migration_history import MigrationHistory

PIPELINE_HISTORY = MigrationHistory(
    Path(__file__).parents[1] / "migrations", lock="khronika migrations"
)
