"""Migration history of the pipeline's schema."""

from pathlib import Path

from pipeline.records.models import Base
from pipeline.runtime.migration_history import MigrationHistory

PIPELINE_HISTORY = MigrationHistory(
    Path(__file__).parents[1] / "migrations",
    lock="khronika migrations",
    tables=frozenset(Base.metadata.tables),
    functions=(r"khronika\_%", r"public\_assets", r"public\_output"),
)
