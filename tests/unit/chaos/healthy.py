"""The evidence of a small run in which every promise held: what planted violations start from.

Asset A: its first attempt fails, the second is taken over and completes. Asset B is cancelled
while its job runs. Asset C fails, is retried by hand and then deleted.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tests.chaos.clients import Acknowledged, Deed
from tests.chaos.evidence import Evidence, SentEntry
from tests.laws.books import (
    AssetRow,
    AttemptRow,
    Books,
    DeliveryRow,
    EventRow,
    JobEntry,
    OutputRow,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
Item = TypeVar("Item", AssetRow, AttemptRow, OutputRow, EventRow, DeliveryRow, JobEntry, SentEntry)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def healthy() -> Evidence:
    return Evidence(
        books=Books(
            assets=(
                _asset("A", "completed", 2, "a2", token=5, seq=9, output="out"),
                _asset("B", "failed", 1, "b1", token=2, seq=5, error="cancelled"),
                _asset("C", "queued", 1, "c1", token=4, seq=6, deleted=at(30)),
            ),
            attempts=(
                _attempt("a1", "A", 1, "failed"),
                _attempt("a2", "A", 2, "completed"),
                _attempt("b1", "B", 1, "accepted", released=(at(12), at(13))),
                _attempt("c1", "C", 1, "failed"),
            ),
            outputs=(output("out", "A", "a2"),),
            events=(*_story_of_a(), *_story_of_b(), *_story_of_c()),
            deliveries=(
                delivery("end-a1", "1", "applied", "A"),
                delivery("end-a2", "2", "applied", "A"),
                delivery("progress-a2", "3", "ignored", "A"),
                delivery("end-c1", "4", "applied", "C"),
            ),
            jobs=(
                job("a1", "failed", at(2), at(4)),
                job("a2", "completed", at(8), at(19)),
                job("b1", "cancelled", at(10), at(13), given_up=True),
                job("c1", "failed", at(10), at(14)),
            ),
        ),
        sent=(
            _sent("end-a1", "a1", "job.failed", "genuine", "1", (None, 202)),
            _sent("end-a2", "a2", "job.completed", "genuine", "2", (503, 202, 200)),
            _sent("end-a2", "a2", "job.failed", "conflicting", "x", (200,)),
            _sent("progress-a2", "a2", "job.progress", "genuine", "3", (202,)),
            _sent("forged-a2", "a2", "job.completed", "forged", "y", (401,)),
            _sent("stale-a2", "a2", "job.completed", "stale", "z", (401,)),
            _sent("end-c1", "c1", "job.failed", "genuine", "4", (202,)),
        ),
        lies=(),
        other_bodies=(),
        acknowledged=tuple(Acknowledged(f"post-{name}", name, "ana") for name in "ABC"),
        deeds=(
            Deed("cancel", "post-B", "B", 202),
            Deed("retry", "post-C", "C", None),
            Deed("delete", "post-C", "C", 202),
            Deed("delete", "post-C", "C", 404),
        ),
        last_fault_at=at(18),
        recovery_sec=60.0,
    )


def _story_of_a() -> list[EventRow]:
    return [
        _edge("A", 1, "created", "owner:ana", None, "queued"),
        _edge("A", 2, "claimed", "worker", "queued", "processing", 1),
        _event("A", 3, "submitted", "worker", 1),
        replace(
            _edge("A", 4, "retry_scheduled", "provider:x", "processing", "retrying", 1),
            provider_event_id="end-a1",
        ),
        _edge("A", 5, "claimed", "worker", "retrying", "processing", 2),
        _event("A", 6, "lease_taken_over", "worker", 2),
        _event("A", 7, "submitted", "worker", 2),
        replace(
            _edge("A", 8, "completed", "provider:x", "processing", "completed", 2),
            provider_event_id="end-a2",
        ),
        replace(
            _event("A", 9, "callback_ignored", "provider:x", 2), provider_event_id="progress-a2"
        ),
    ]


def _story_of_b() -> list[EventRow]:
    return [
        _edge("B", 1, "created", "owner:ana", None, "queued"),
        _edge("B", 2, "claimed", "worker", "queued", "processing", 1),
        _event("B", 3, "submitted", "worker", 1),
        _edge("B", 4, "cancelled", "owner:ana", "processing", "failed", 1),
        _event("B", 5, "released", "worker", 1),
    ]


def _story_of_c() -> list[EventRow]:
    return [
        _edge("C", 1, "created", "owner:ana", None, "queued"),
        _edge("C", 2, "claimed", "worker", "queued", "processing", 1),
        _event("C", 3, "submitted", "worker", 1),
        replace(
            _edge("C", 4, "failed", "provider:x", "processing", "failed", 1),
            provider_event_id="end-c1",
        ),
        _edge("C", 5, "retried", "owner:ana", "failed", "queued", 1),
        _event("C", 6, "deleted", "owner:ana", 1),
    ]


def _asset(
    id_: str,
    status: str,
    attempt: int,
    attempt_id: str,
    *,
    token: int,
    seq: int,
    output: str | None = None,
    error: str | None = None,
    deleted: datetime | None = None,
) -> AssetRow:
    return AssetRow(
        id=id_,
        post_id=f"post-{id_}",
        status=status,
        generation=1,
        attempt=attempt,
        attempt_id=attempt_id,
        failures=attempt - 1,
        max_attempts=3,
        lease_token=token,
        lease_expires_at=None,
        next_poll_at=None,
        deadline_at=None,
        last_seq=seq,
        published_output_id=output,
        error_code=error,
        created_at=at(0),
        deleted_at=deleted,
    )


def _attempt(
    id_: str,
    asset_id: str,
    number: int,
    outcome: str,
    released: tuple[datetime | None, datetime | None] = (None, None),
) -> AttemptRow:
    return AttemptRow(id_, asset_id, 1, number, outcome, at(1), *released, None, None)


def output(id_: str, asset_id: str, attempt_id: str) -> OutputRow:
    return OutputRow(id_, asset_id, attempt_id, at(20), None, None)


def delivery(event_id: str, digest: str, status: str, asset_id: str | None) -> DeliveryRow:
    return DeliveryRow("x", event_id, digest, status, asset_id)


def job(
    id_: str, status: str, accepted: datetime, finished: datetime, *, given_up: bool = False
) -> JobEntry:
    playable = status == "completed"
    return JobEntry(id_, status, playable, given_up, accepted, finished)


def _edge(  # noqa: PLR0917 - the columns of a line of the chronicle, in their order
    asset_id: str,
    seq: int,
    type_: str,
    actor: str,
    from_status: str | None,
    to_status: str,
    attempt: int | None = None,
) -> EventRow:
    event = _event(asset_id, seq, type_, actor, attempt)
    return replace(event, from_status=from_status, to_status=to_status)


def _event(asset_id: str, seq: int, type_: str, actor: str, attempt: int | None) -> EventRow:
    return EventRow(asset_id, seq, at(2.5 * seq), type_, actor, attempt=attempt)


RESULTS = {202: "stored", 200: "duplicate", 401: "signature_invalid"}


def _sent(  # noqa: PLR0917 - the columns of the provider's books, in their order
    event_id: str,
    job_id: str,
    type_: str,
    manner: str,
    digest: str,
    answers: tuple[int | None, ...],
) -> SentEntry:
    results = tuple(RESULTS.get(answer or 0) for answer in answers)
    if manner == "conflicting":
        results = ("callback_conflict",) * len(answers)
    return SentEntry(event_id, job_id, type_, manner, digest, answers, results)


def altered(
    items: Sequence[Item], matches: Callable[[Item], bool], **changes: Any
) -> tuple[Item, ...]:
    """The rows, with what matches changed."""
    found = tuple(replace(item, **changes) if matches(item) else item for item in items)
    assert found != tuple(items), "the plant changed nothing"
    return found
