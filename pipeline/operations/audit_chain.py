"""Check of the audit's chain: no row between its two ends was changed, removed or added.

The check computes the hashes itself and calls no function of ours in the database, because somebody
who can change a row can change such a function too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

BATCH = 1000

# The same list as in the migration that makes `khronika_chain_audit`.
_ROWS = text("""
    SELECT chain_position, id, previous_hash, hash, source, source_salt, source_digest,
           jsonb_build_array(
               chain_position, id, extract(epoch FROM created_at), type, reason, actor, provider,
               encode(source_digest, 'hex'), request_id, detail)::text AS content
    FROM audit_events WHERE chain_position > :after ORDER BY chain_position LIMIT :batch
""")
_UNCHAINED = text("SELECT min(id) FROM audit_events WHERE chain_position IS NULL")
_ENDS = text("SELECT name, chain_position, hash FROM audit_chain_ends")


@dataclass(frozen=True)
class BrokenRow:
    """The first place at which the chain does not hold.

    Attributes:
        position: The place in the chain; None for a row that has none.
        id: The row's id; None if the row is missing.
    """

    position: int | None
    id: int | None
    reason: str


@dataclass(frozen=True)
class AuditVerdict:
    """The result of a check.

    Attributes:
        head: The hash of the last row that is correct, as hexadecimal digits.
        position: Its place in the chain.
        rows: The number of correct rows.
        removed: The place up to which the retention has removed rows; 0 for none.
    """

    head: str
    position: int
    rows: int
    removed: int
    broken: BrokenRow | None


def verify_chain(session: Session, *, since_head: str | None = None) -> AuditVerdict:
    """Check every row of the audit in the order of the chain, and both ends.

    Args:
        session: A session that has not begun its transaction; the check reads one snapshot.
        since_head: The head of an earlier check, which must still be a part of the chain.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    ends = {row.name: (row.chain_position, bytes(row.hash)) for row in session.execute(_ENDS)}
    removed, last = ends.get("removed", (0, b""))
    position, rows, broken = removed, 0, None
    is_anchored = since_head is None or since_head in {last.hex(), ""}
    for row in _rows(session, removed):
        broken = _fault(row, position + 1, last)
        if broken is not None:
            break
        position, last, rows = position + 1, bytes(row.hash), rows + 1
        is_anchored = is_anchored or last.hex() == since_head
    broken = broken or _fault_of_end(session, ends.get("head", (0, b"")), (position, last))
    if broken is None and not is_anchored:
        broken = BrokenRow(
            None, None, "the given head is not in the chain: its row was removed or changed"
        )
    return AuditVerdict(last.hex(), position, rows, removed, broken)


def _rows(session: Session, after: int) -> Iterator[Row[Any]]:
    while found := session.execute(_ROWS, {"after": after, "batch": BATCH}).all():
        yield from found
        after = found[-1].chain_position


def _fault(row: Row[Any], expected: int, previous: bytes) -> BrokenRow | None:
    if row.chain_position != expected:
        return BrokenRow(expected, None, "the row at this place was removed")
    if bytes(row.previous_hash or b"") != previous:
        return BrokenRow(expected, row.id, "it does not follow the row before it")
    if bytes(row.hash or b"") != sha256(previous + row.content.encode()).digest():
        return BrokenRow(expected, row.id, "its content was changed")
    if row.source is not None and not _is_source(row):
        return BrokenRow(expected, row.id, "its source was changed")
    return None


def _is_source(row: Row[Any]) -> bool:
    digest = sha256(bytes(row.source_salt or b"") + row.source.encode()).digest()
    return digest == bytes(row.source_digest or b"")


def _fault_of_end(
    session: Session, head: tuple[int, bytes], reached: tuple[int, bytes]
) -> BrokenRow | None:
    if head != reached:
        return BrokenRow(reached[0] + 1, None, "the rows from this place on were removed")
    unchained = session.scalar(_UNCHAINED)
    if unchained is not None:
        return BrokenRow(None, unchained, "it was added past the chain")
    return None
