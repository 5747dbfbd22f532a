"""The facts of an attempt that are for its adapter alone, and a few of ours beside them.

Several workers write them at once: a poll, a callback, a look-up. Each write therefore changes its
own facts in SQL and leaves the others as they are.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import cast
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from pipeline.records import store
from pipeline.records.models import Attempt


def merge_facts(session: Session, attempt_id: UUID, facts: Mapping[str, Any]) -> None:
    """Write these facts, and keep the others. Safe to run twice."""
    if facts:
        merged = Attempt.vendor.op("||")(cast(dict(facts), JSONB))
        store.update_attempt(session, attempt_id, vendor=merged)


def remove_fact(session: Session, attempt_id: UUID, name: str) -> None:
    """Remove one fact, if it is there. Safe to run twice."""
    store.update_attempt(session, attempt_id, vendor=Attempt.vendor.op("-")(name))
