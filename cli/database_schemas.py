"""The two schemas of an installation: the product's, and the transcoder's.

They may share a database; neither knows the other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cli.schema_names import SchemaName
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.migrate import migrate
from transcoder.schema_history import TRANSCODER_HISTORY

HISTORIES = {
    SchemaName.PIPELINE: PIPELINE_HISTORY,
    SchemaName.TRANSCODER: TRANSCODER_HISTORY,
}


@dataclass(frozen=True)
class Migrated:
    """A schema that is at its newest revision.

    Attributes:
        before: The revision that it had; None if it was new.
    """

    schema: SchemaName
    before: str | None
    revision: str


def migrate_schemas(
    owner_url: str, schemas: Iterable[SchemaName] = SchemaName
) -> Iterator[Migrated]:
    """Bring schemas to their newest revision, one after the other; idempotent."""
    for schema in schemas:
        history = HISTORIES[schema]
        before = migrate(history, owner_url)
        yield Migrated(schema, before, history.newest_revision())


def migrate_all(owner_url: str) -> None:
    """Bring both schemas to their newest revision; idempotent."""
    list(migrate_schemas(owner_url))
