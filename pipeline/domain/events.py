"""Events of the chronicle: one type for each thing that happens to an asset.

``docs/events.md`` is generated from this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """Types of event. The column ``type`` of ``video_processing_events`` holds these values."""

    CREATED = "created"
    """The asset was registered for a post."""
    ENQUEUED = "enqueued"
    """An operator's backfill made due an asset that had only been registered."""
    CLAIMED = "claimed"
    """A worker took the asset under its lease and began a new attempt."""
    LEASE_TAKEN_OVER = "lease_taken_over"
    """A worker took over an attempt whose lease had lapsed; the attempt goes on."""
    SOURCE_VERIFIED = "source_verified"
    """The source was measured and accepted."""
    METADATA_MISMATCH = "metadata_mismatch"
    """The source measures differently from the values that the client declared."""
    SUBMITTED = "submitted"
    """The provider accepted the job."""
    JOB_SEEN = "job_seen"
    """A report proved that the provider has the job, before the submission was answered."""
    SUBMIT_UNANSWERED = "submit_unanswered"
    """The call to the provider ended without an answer; the job may exist."""
    LOOKED_UP = "looked_up"
    """The provider was asked for a job whose submission had no answer, without a final result."""
    ACCOUNT_REFUSED = "account_refused"
    """The provider refuses the account, so nothing is known of the job; no failure is spent."""
    HELD = "held"
    """The asset waits without using its retry budget; ``code`` names the reason."""
    RETRY_SCHEDULED = "retry_scheduled"
    """A job failed and another one may succeed; the next attempt is scheduled."""
    RETRY_EXHAUSTED = "retry_exhausted"
    """A job failed and the retry budget is used up: the asset failed with the code of this job."""
    FAILED = "failed"
    """The asset failed for good; ``code`` names the reason."""
    EXPIRED = "expired"
    """The asset waited past its deadline and failed; ``code`` names the last trouble."""
    CANCELLED = "cancelled"
    """The owner or an operator ended the processing."""
    RETRIED = "retried"
    """The owner or an operator queued a failed asset again."""
    SOURCE_READDRESSED = "source_readdressed"
    """The owner or an operator gave a fresh address of the same file, such as one signed anew."""
    REENCODE_REQUESTED = "reencode_requested"
    """The owner or an operator queued a completed asset for a new generation."""
    MOVE_REQUESTED = "move_requested"
    """An operator queued a completed asset for a new generation at another account."""
    FOLLOWED_UP = "followed_up"
    """The provider needed another call to finish the job, and got it."""
    PLAYABLE = "playable"
    """The manifest passed the gate and was published; other outputs are still to come."""
    COMPLETED = "completed"
    """The outputs passed the gate and were published."""
    WARNED = "warned"
    """The outputs that are published next differ from the source; ``warnings`` says in what."""
    LATE_SUCCESS = "late_success"
    """An abandoned attempt succeeded; its outputs were published."""
    ROLLED_BACK = "rolled_back"
    """An operator published the previous outputs again."""
    CALLBACK_IGNORED = "callback_ignored"
    """A callback changed nothing; ``reason`` names the reason."""
    CALLBACK_MISSED = "callback_missed"
    """A poll found a result whose callback had not arrived."""
    RELEASED = "released"
    """The provider ended a job that is no longer needed."""
    WRITTEN_OFF = "written_off"
    """An operator gave up a release at an account that is not configured any more."""
    DELETED = "deleted"
    """The owner or an operator deleted the asset; its post is free again."""
    PURGED = "purged"
    """Files that are no longer published, or a deleted source, were removed."""


@dataclass(frozen=True)
class EventDraft:
    """An event before it is written to the chronicle, with its context.

    Attributes:
        type: The type of the event.
        actor: ``owner:{id}``, ``operator:{id}``, ``worker``, ``provider:{name}`` or ``sweep``.
        detail: Further facts for a reader; never a secret.
    """

    type: EventType
    actor: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    attempt: int | None = None
    provider: str | None = None
    provider_job_id: str | None = None
    provider_request_id: str | None = None
    provider_event_id: str | None = None
