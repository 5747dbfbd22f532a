"""The facts that are known after a run, as plain values: books, callbacks sent, clients' log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.chaos.clients import Acknowledged, Deed
from tests.laws.books import Books


@dataclass(frozen=True)
class SentEntry:
    """A callback in the provider's books, with every answer it got."""

    event_id: str
    job_id: str
    type: str
    manner: str
    body_sha256: str
    answers: Sequence[int | None]
    results: Sequence[str | None]


@dataclass(frozen=True)
class Evidence:
    """Everything a check may look at.

    Attributes:
        lies: Jobs that an account took after its outage and ended at once with nothing that plays.
        other_bodies: Jobs that were submitted a second time with another body.
        last_fault_at: When the last fault had ended.
        recovery_sec: The stated bound on recovery after it.
    """

    books: Books
    sent: Sequence[SentEntry]
    lies: Sequence[str]
    other_bodies: Sequence[str]
    acknowledged: Sequence[Acknowledged]
    deeds: Sequence[Deed]
    last_fault_at: datetime
    recovery_sec: float
