"""Does the live database hold what the migrations made? The catalogue check.

``schema_check.json`` is what PostgreSQL's own catalogue says of a freshly migrated database, each
thing described in one line; it changes with a migration and is reviewed with it. A policy that
was dropped, a grant that was widened, a trigger that was disabled in production shows as a
difference. Reading needs no privilege: any role of ours can check.

``python -m pipeline.operations.schema_check > pipeline/operations/schema_check.json`` writes it
anew from ``DATABASE_URL``.
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

from pipeline.operations.schema_queries import SECTIONS
from pipeline.records.models import Base
from pipeline.runtime.database import make_engine

INTENDED = Path(__file__).with_suffix(".json")

TABLES = tuple(sorted(Base.metadata.tables))
FUNCTIONS = (
    "khronika_bound_secrets",
    "khronika_cards",
    "khronika_live_assets",
    "khronika_make_event_partitions",
    "khronika_refuse_change",
    "khronika_refuse_strangers",
    "khronika_touch",
    "khronika_turns",
    "public_assets",
)
ROLES = (
    "khronika_api",
    "khronika_operator",
    "khronika_public",
    "khronika_viewer",
    "khronika_worker",
)

HARMLESS_EXTRAS = frozenset({"index", "column"})
"""Sections to which a site may add its own; anywhere else more means that somebody may do more,
or that something happens on a write which nobody wrote down."""

Catalogue = Mapping[str, Mapping[str, str]]
"""Section → name → description in one line."""


class Difference(StrEnum):
    """How a thing differs from what was intended."""

    MISSING = "missing"
    DIFFERENT = "different"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True)
class Finding:
    """One difference between the live database and what the migrations intend.

    Attributes:
        section: What kind of thing: ``table``, ``policy``, ``grant``, …
        name: Which one; what belongs to a table begins with the table's name and a dot.
        problem: In which way it differs.
        intended: Its description as the migrations made it; None for ``UNEXPECTED``.
        live: Its description as it is; None for ``MISSING``.
    """

    section: str
    name: str
    difference: Difference
    intended: str | None = None
    live: str | None = None

    def __str__(self) -> str:
        said = {
            Difference.MISSING: f"intended {self.intended}",
            Difference.DIFFERENT: f"is {self.live}; intended {self.intended}",
            Difference.UNEXPECTED: f"is {self.live}",
        }[self.difference]
        return f"{self.section} {self.name} is {self.difference}: {said}"


def check_catalogue(connection: Connection) -> list[Finding]:
    """Compare the database behind ``connection`` with what the migrations intend.

    Returns:
        The differences, in a stable order; empty when there are none.
    """
    return compare(load_intended(), read_catalogue(connection))


def load_intended() -> Catalogue:
    """The recorded catalogue of a freshly migrated database."""
    intended: Catalogue = json.loads(INTENDED.read_text())
    return intended


def read_catalogue(connection: Connection) -> Catalogue:
    """Describe everything of ours in the database, one line each.

    The names of the partitions depend on the month, so that they are described together.
    """
    # Names are printed without their schema only while it is on the path.
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
    # psycopg would send a list of small numbers as smallint[], which no oid compares with.
    oids = bindparam("tables", type_=ARRAY(OID))
    return text(sql).bindparams(oids) if ":tables" in sql else text(sql)


def compare(intended: Catalogue, live: Catalogue) -> list[Finding]:
    """The differences; what belongs to a missing table is not listed one by one."""
    gone = {table for table in intended["table"] if table not in live["table"]}
    return [
        finding
        for section, things in intended.items()
        for finding in _compare_section(section, things, live.get(section, {}))
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
        elif wanted != found:
            yield Finding(section, name, Difference.DIFFERENT, intended=wanted, live=found)


def _write_anew() -> None:
    engine = make_engine(os.environ["DATABASE_URL"])
    with engine.connect() as connection:
        catalogue = read_catalogue(connection)
    json.dump(catalogue, sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    _write_anew()
