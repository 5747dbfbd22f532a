"""What is known after a run, as plain values: rows, the provider's books, the clients' log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from tests.chaos.clients import Acknowledged, Deed


@dataclass(frozen=True)
class AssetRow:
    """A row of ``video_assets``."""

    id: str
    post_id: str
    status: str
    generation: int
    attempt: int
    attempt_id: str | None
    lease_token: int
    last_seq: int
    published_output_id: str | None
    error_code: str | None
    deleted_at: datetime | None


@dataclass(frozen=True)
class AttemptRow:
    """A row of ``provider_attempts``."""

    id: str
    asset_id: str
    generation: int
    number: int
    outcome: str | None
    intended_at: datetime | None
    release_requested_at: datetime | None
    released_at: datetime | None


@dataclass(frozen=True)
class OutputRow:
    """A row of ``video_outputs``."""

    id: str
    asset_id: str
    attempt_id: str
    published_at: datetime | None
    retired_at: datetime | None


@dataclass(frozen=True)
class EventRow:
    """A row of ``video_processing_events``."""

    asset_id: str
    seq: int
    created_at: datetime
    type: str
    actor: str
    from_status: str | None = None
    to_status: str | None = None
    generation: int = 1
    attempt: int | None = None
    provider_event_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeliveryRow:
    """A row of ``webhook_deliveries``."""

    event_id: str
    body_sha256: str
    status: str
    reason: str | None
    asset_id: str | None


@dataclass(frozen=True)
class JobEntry:
    """A job in the provider's books.

    Attributes:
        playable: Whether its outputs deserve to pass the gate.
    """

    id: str
    status: str
    accepted_at: datetime
    finished_at: datetime | None
    deleted_at: datetime | None
    playable: bool


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
    """Everything an invariant may look at.

    Attributes:
        other_bodies: Jobs that were submitted a second time with another body.
        last_fault_at: When the last fault had ended.
        recovery_sec: The stated bound on recovery after it.
    """

    assets: Sequence[AssetRow]
    attempts: Sequence[AttemptRow]
    outputs: Sequence[OutputRow]
    events: Sequence[EventRow]
    deliveries: Sequence[DeliveryRow]
    jobs: Sequence[JobEntry]
    sent: Sequence[SentEntry]
    other_bodies: Sequence[str]
    acknowledged: Sequence[Acknowledged]
    deeds: Sequence[Deed]
    last_fault_at: datetime
    recovery_sec: float

    @cached_property
    def asset_of(self) -> Mapping[str, AssetRow]:
        """By id."""
        return {asset.id: asset for asset in self.assets}

    @cached_property
    def attempt_of(self) -> Mapping[str, AttemptRow]:
        """By id, which is the job's id too."""
        return {attempt.id: attempt for attempt in self.attempts}

    @cached_property
    def chronicles(self) -> Mapping[str, Sequence[EventRow]]:
        """Each asset's events in order of ``seq``."""
        found: dict[str, list[EventRow]] = {asset.id: [] for asset in self.assets}
        for event in sorted(self.events, key=lambda event: event.seq):
            found.setdefault(event.asset_id, []).append(event)
        return found


def is_terminal(asset: AssetRow) -> bool:
    """Whether nothing more is going to happen to it by itself."""
    return asset.deleted_at is not None or asset.status in {"completed", "failed"}
