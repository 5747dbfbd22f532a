"""Comparison of the live database's catalogue with the one that the migrations make.

``schema_check.json`` holds the catalogue of a freshly migrated database, one line an object. It
changes with a migration and is reviewed with it. A dropped policy, a wider grant or a disabled
trigger in production is a difference. The check needs no privilege: every role of ours can run it.

``python -m pipeline.operations.schema_check > pipeline/operations/schema_check.json`` writes the
file from the database at ``DATABASE_URL``.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import ARRAY, Connection, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import OID

from pipeline.operations.condition_text import flatten_conditions
from pipeline.operations.schema_queries import SECTIONS
from pipeline.records.models import Base
from pipeline.runtime.database import make_engine

INTENDED = Path(__file__).with_suffix(".json")

TABLES = (*sorted(Base.metadata.tables), "alembic_version")
FUNCTIONS = (
    "khronika_add",
    "khronika_bound_secrets",
    "khronika_cards",
    "khronika_chain_audit",
    "khronika_chain_new",
    "khronika_count",
    "khronika_count_asset",
    "khronika_count_attempt",
    "khronika_count_callback",
    "khronika_count_edge",
    "khronika_count_event",
    "khronika_empty_deliveries",
    "khronika_enrolled",
    "khronika_forget_addresses",
    "khronika_live_assets",
    "khronika_make_event_partitions",
    "khronika_media_grant",
    "khronika_metric_shard",
    "khronika_note_call",
    "khronika_observe",
    "khronika_output",
    "khronika_owe_purge",
    "khronika_prune_audit",
    "khronika_refuse_change",
    "khronika_refuse_strangers",
    "khronika_refuse_value",
    "khronika_shift",
    "khronika_touch",
    "khronika_turns",
    "khronika_withdraw_cancelled",
    "public_assets",
    "public_output",
)
ROLES = (
    "khronika_api",
    "khronika_auditor",
    "khronika_meter",
    "khronika_operator",
    "khronika_public",
    "khronika_viewer",
    "khronika_worker",
)

HARMLESS_EXTRAS = frozenset({"index", "column"})
"""Sections in which a site may add objects of its own. An addition to another section grants
rights or acts on writes, and is a difference."""

Catalogue = Mapping[str, Mapping[str, str]]
"""Section → name → description in one line."""


class Difference(StrEnum):
    """Kind of a difference from the intended catalogue."""

    MISSING = "missing"
    DIFFERENT = "different"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True)
class Finding:
    """One object that differs between the live database and the migrations.

    Attributes:
        section: Kind of the object: ``table``, ``policy``, ``grant``, …
        name: Name of the object; with a table's name and a dot before it if a table owns it.
        difference: Kind of the difference.
        intended: Description by the migrations; None for ``UNEXPECTED``.
        live: Description by the live database; None for ``MISSING``.
    """

    section: str
    name: str
    difference: Difference
    intended: str | None = None
    live: str | None = None

    def __str__(self) -> str:
        comparison = {
            Difference.MISSING: f"intended {self.intended}",
            Difference.DIFFERENT: f"is {self.live}; intended {self.intended}",
            Difference.UNEXPECTED: f"is {self.live}",
        }[self.difference]
        return f"{self.section} {self.name} is {self.difference}: {comparison}"


def check_catalogue(connection: Connection) -> list[Finding]:
    """Return the differences of a database from the intended catalogue, in a stable order."""
    return compare(load_intended(), read_catalogue(connection))


def load_intended() -> Catalogue:
    """Read the recorded catalogue of a freshly migrated database."""
    intended: Catalogue = json.loads(INTENDED.read_text())
    return intended


def read_catalogue(connection: Connection) -> Catalogue:
    """Describe every object of ours in the database, one line each.

    Partitions are described together, because their names depend on the month.
    """
    # PostgreSQL prints names without their schema only if it is on the path.
    connection.execute(text("SET LOCAL search_path = public"))
    ours: dict[str, list[str] | list[int]] = {
        "tables": list(connection.scalars(text(_OIDS), {"names": list(TABLES)})),
        "functions": list(FUNCTIONS),
        "roles": list(ROLES),
    }
    return {
        section: {str(name): str(line) for name, line in connection.execute(_query(sql), ours)}
        for section, sql in SECTIONS.items()
    }


_OIDS = """
    SELECT oid::bigint FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname = ANY (:names)
"""


def _query(sql: str) -> TextClause:
    # psycopg would send a list of small numbers as smallint[], which does not compare with oids.
    oids = bindparam("tables", type_=ARRAY(OID))
    return text(sql).bindparams(oids) if ":tables" in sql else text(sql)


def compare(intended: Catalogue, live: Catalogue) -> list[Finding]:
    """Return the differences, without the single objects of a missing table."""
    gone = {table for table in intended["table"] if table not in live["table"]}
    return [
        finding
        for section, objects in intended.items()
        for finding in _compare_section(section, objects, live.get(section, {}))
        if section == "table" or finding.name.partition(".")[0] not in gone
    ]


def _compare_section(
    section: str, intended: Mapping[str, str], live: Mapping[str, str]
) -> Iterator[Finding]:
    for name in sorted({*intended, *live}):
        wanted, found = intended.get(name), live.get(name)
        if found is None:
            yield Finding(section, name, Difference.MISSING, intended=wanted)
        elif wanted is None:
            if section not in HARMLESS_EXTRAS:
                yield Finding(section, name, Difference.UNEXPECTED, live=found)
        elif flatten_conditions(wanted) != flatten_conditions(found):
            yield Finding(section, name, Difference.DIFFERENT, intended=wanted, live=found)


def _print_catalogue() -> None:
    engine = make_engine(os.environ["DATABASE_URL"])
    with engine.connect() as connection:
        catalogue = read_catalogue(connection)
    json.dump(catalogue, sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    _print_catalogue()
