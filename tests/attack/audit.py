"""Rows of the audit, changed and removed by someone who has the whole database."""

import psycopg

from pipeline.operations.audit_chain import verify_chain
from pipeline.runtime.database import make_engine, session_of
from tests.attack.rows import Row
from tests.attack.target import Target

ROWS = 5
NEWEST = "chain_position = (SELECT max(chain_position) FROM audit_events)"
TRIES = {
    "change a row": f"UPDATE audit_events SET actor = 'operator:bob' WHERE {NEWEST} - 2",
    "remove a row": f"DELETE FROM audit_events WHERE {NEWEST} - 3",
    "remove the newest row": f"DELETE FROM audit_events WHERE {NEWEST}",
}


def attack(target: Target) -> list[Row]:
    """Tamper with the audit without any trigger or policy, and verify its chain after each try."""
    with psycopg.connect(target.logins["operator"]) as operator:
        for _ in range(ROWS):
            operator.execute(
                "INSERT INTO audit_events (type, actor) VALUES ('retry', 'operator:alice')"
            )
    rows = [Row("audit", "nothing", "correct", _verdict(target))]
    for tried, statement in TRIES.items():
        with psycopg.connect(target.logins["admin"], autocommit=True) as intruder:
            intruder.execute("SET session_replication_role = replica")
            intruder.execute("CREATE TABLE kept_audit AS TABLE audit_events")
            assert intruder.execute(statement.encode()).rowcount == 1
            rows.append(Row("audit", tried, "broken", _verdict(target)))
            intruder.execute("DELETE FROM audit_events")
            intruder.execute(
                "INSERT INTO audit_events OVERRIDING SYSTEM VALUE SELECT * FROM kept_audit"
            )
            intruder.execute("DROP TABLE kept_audit")
    return rows


def _verdict(target: Target) -> str:
    engine = make_engine(target.logins["operator"])
    with session_of(engine) as session:
        found = verify_chain(session)
    engine.dispose()
    return "correct" if found.broken is None else "broken"
