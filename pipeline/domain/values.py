"""Values that travel between the parts: plain, frozen, standard library only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Playback(StrEnum):
    """Who is given the addresses of what is published of an asset. Fixed when it is registered."""

    PUBLIC = "public"
    """Everybody, for ever."""
    SIGNED = "signed"
    """Whoever has a right to them, for a while."""


class PostClaim(StrEnum):
    """Whether an owner's token must name the posts that its bearer may register videos for."""

    OFF = "off"
    """Whoever comes first has a post: for development, and where post ids are secrets."""
    REQUIRED = "required"
    """The token's claim ``post_id`` names them: one, or a list."""


class Profile(StrEnum):
    """A size of rendition, by its short side."""

    P2160 = "2160p"
    P1440 = "1440p"
    P1080 = "1080p"
    P720 = "720p"
    P480 = "480p"
    P360 = "360p"
    P240 = "240p"


@dataclass(frozen=True)
class SpendLimits:
    """What one provider account may be given within a clock hour; None is without end."""

    assets_per_hour: int | None = None
    minutes_per_hour: float | None = None


@dataclass(frozen=True)
class BreakerLimits:
    """When a breaker opens, and for how long.

    Attributes:
        failures: In a row, that open it.
        open_sec: How long it is open at first.
        cap_sec: How long it is open at the most.
        probe_sec: How long a submission that was let through may take to be answered.
    """

    failures: int
    open_sec: float
    cap_sec: float
    probe_sec: float


class Phase(StrEnum):
    """What a provider says of a job, in our words."""

    WAITING = "waiting"
    """Accepted, in the provider's own queue."""
    RUNNING = "running"
    """Being worked on."""
    COMPLETED = "completed"
    """Done; the outputs are named."""
    FAILED = "failed"
    """Ended without outputs."""
    CANCELLED = "cancelled"
    """Given up at our request or the operator's."""


class AttemptOutcome(StrEnum):
    """Ends of an attempt. The column ``outcome`` is null while the attempt is open."""

    ACCEPTED = "accepted"
    """The provider has the job."""
    REFUSED = "refused"
    """The provider, or we on its behalf, refused the job before it was taken."""
    SOURCE_REFUSED = "source_refused"
    """The source was refused before the provider was asked."""
    NOT_SUBMITTED = "not_submitted"
    """Two look-ups agree that the submission never arrived."""
    COMPLETED = "completed"
    """The provider made the outputs."""
    FAILED = "failed"
    """The provider ended the job without outputs, or lost it."""
    CANCELLED = "cancelled"
    """The provider gave the job up."""


class DeliveryStatus(StrEnum):
    """Stages of a callback's delivery in the inbox."""

    NEW = "new"
    """Stored, and to be applied."""
    APPLIED = "applied"
    """Its report was applied."""
    IGNORED = "ignored"
    """Its report changed nothing; ``reason`` says why."""
    DEAD = "dead"
    """It cannot be read, or it ended its workers too often."""


@dataclass(frozen=True)
class Outputs:
    """Outputs of a finished job. URLs are absolute, or ``storage:{key}`` in our own storage."""

    manifest_url: str
    fallback_url: str
    poster_url: str
    thumbnail_url: str
    duration_sec: float
    width: int
    height: int
    renditions: Sequence[Mapping[str, Any]] = ()
    size_bytes: int | None = None
    storyboard_url: str | None = None
    """WebVTT that names small pictures along the timeline, where the provider makes them."""


ADDRESS_FIELDS = ("manifest_url", "fallback_url", "poster_url", "thumbnail_url", "storyboard_url")
"""Fields of ``Outputs`` that are addresses."""

PUBLISHED_FIELDS = (*ADDRESS_FIELDS, "duration_sec", "width", "height")
"""Fields of ``Outputs`` that an asset repeats of the output that is published."""


@dataclass(frozen=True)
class ProviderStatus:
    """A callback or a poll, normalised. Both go through the same reducer.

    Attributes:
        phase: What the provider says.
        attempt_id: Our attempt's id, where the provider echoes it.
        provider_job_id: The provider's id of the job.
        progress: Percent done, 0 to 100, where known.
        outputs: Set when the phase is ``COMPLETED``.
        error_code: A code of ``pipeline.domain.failures`` when the phase is ``FAILED``.
        retryable: Whether a new attempt may succeed.
    """

    phase: Phase
    provider_job_id: str
    attempt_id: UUID | None = None
    provider_request_id: str | None = None
    progress: float | None = None
    outputs: Outputs | None = None
    error_code: str | None = None
    error_message: str | None = None
    retryable: bool = False


@dataclass(frozen=True)
class SignedCallback:
    """A callback whose signature held: its event id and the instant it was signed."""

    event_id: str
    signed_at: datetime


@dataclass(frozen=True)
class SubmitRequest:
    """What a provider needs to process one attempt.

    Attributes:
        attempt_id: Our external id of the job; never reused.
        source_url: Absolute URL the provider can fetch the source from.
        output_prefix: Storage prefix for manifest, segments and fallback, where it writes to ours.
        poster_prefix: Storage prefix for poster and thumbnail.
        poster_time_sec: Where the owner wants the poster taken, if anywhere.
        source_size_bytes: As measured, for a provider that has to make room.
        max_profile: The largest rendition to make; as the provider does by itself when absent.
    """

    asset_id: UUID
    attempt_id: UUID
    source_url: str
    output_prefix: str
    poster_prefix: str
    poster_time_sec: float | None = None
    title: str | None = None
    source_size_bytes: int | None = None
    max_profile: Profile | None = None


@dataclass(frozen=True)
class Submitted:
    """The provider accepted the job."""

    provider_job_id: str
    provider_request_id: str | None = None


@dataclass(frozen=True)
class Setback:
    """An attempt that ended without outputs.

    Attributes:
        code: One of ``pipeline.domain.failures``.
        message: The words of the provider or of the check, for the chronicle.
        retryable: Whether a new attempt may succeed.
        held: The provider refused before it took the job: no retry budget is used.
        retry_after_sec: The provider's hint.
        context: Further facts for the chronicle.
    """

    code: str
    message: str | None
    retryable: bool
    held: bool = False
    retry_after_sec: float | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CreateAsset:
    """What a caller says when registering a video for a post. ``declared`` is not believed."""

    post_id: UUID
    owner_id: str
    source_url: str | None
    upload_id: UUID | None
    declared: Mapping[str, Any]
    title: str | None = None
    poster_time_sec: float | None = None
    playback: Playback | None = None
    """The installation's own policy when absent."""
    allow_original: bool = False
