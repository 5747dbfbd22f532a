"""Values that pass between modules: plain, frozen, standard library only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Playback(StrEnum):
    """Playback policy of an asset: the readers of its published files. Create fixes it."""

    PUBLIC = "public"
    """Every reader gets the addresses, and they do not expire."""
    SIGNED = "signed"
    """Only a caller with a right to the video gets the addresses, and they expire."""


class PostClaim(StrEnum):
    """Requirement on an owner's token to name the posts that its bearer may register videos for."""

    OFF = "off"
    """The first caller gets the post: for development, and for sites with secret post ids."""
    REQUIRED = "required"
    """The token's claim ``post_id`` names the posts: one id, or a list."""


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
    """Most that one provider account may be given within a clock hour; None is no limit."""

    assets_per_hour: int | None = None
    minutes_per_hour: float | None = None


@dataclass(frozen=True)
class BreakerLimits:
    """Threshold and times of a breaker.

    Attributes:
        failures: Submissions in a row without an answer that open the breaker.
        open_sec: Length of its first opening.
        cap_sec: Length of its longest opening.
        probe_sec: Time after which the probe, the one submission that an open breaker admits,
            counts as unanswered.
    """

    failures: int
    open_sec: float
    cap_sec: float
    probe_sec: float


class Phase(StrEnum):
    """State of a job at its provider, in our words."""

    WAITING = "waiting"
    """Accepted, in the provider's own queue."""
    RUNNING = "running"
    """The provider is processing it."""
    COMPLETED = "completed"
    """Done; the report names the outputs."""
    FAILED = "failed"
    """Ended without outputs."""
    CANCELLED = "cancelled"
    """Ended at our request or the operator's."""


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
    """WebVTT that names small pictures along the timeline; None if the provider makes none."""


ADDRESS_FIELDS = ("manifest_url", "fallback_url", "poster_url", "thumbnail_url", "storyboard_url")
"""Fields of ``Outputs`` that are addresses."""

PUBLISHED_FIELDS = (*ADDRESS_FIELDS, "duration_sec", "width", "height")
"""Fields of ``Outputs`` that an asset's row copies from its published output."""


@dataclass(frozen=True)
class ProviderStatus:
    """A callback or a poll, normalised. ``decide`` treats both alike.

    Attributes:
        phase: State of the job.
        attempt_id: Our attempt's id; None if the provider does not echo it.
        provider_job_id: The provider's id of the job.
        progress: Percent done, 0 to 100; None if unknown.
        outputs: Set when the phase is ``COMPLETED``.
        error_code: A code of ``pipeline.domain.failures`` when the phase is ``FAILED``.
        retryable: True if a new attempt may succeed.
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
    """A callback with a valid signature: its event id and the instant of the signature."""

    event_id: str
    signed_at: datetime


@dataclass(frozen=True)
class SubmitRequest:
    """Order to a provider to process one attempt.

    Attributes:
        attempt_id: Our external id of the job; never reused.
        source_url: Absolute URL from which the provider can fetch the source.
        output_prefix: Prefix for manifest, segments and fallback, for a provider that writes to
            our storage.
        poster_prefix: Prefix for poster and thumbnail, likewise.
        poster_time_sec: Instant of the poster that the owner chose; None leaves it to the provider.
        source_size_bytes: Measured size, for a provider that has to reserve space.
        max_profile: The largest rendition to make; None leaves it to the provider.
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
    """Acceptance of a job by its provider."""

    provider_job_id: str
    provider_request_id: str | None = None


@dataclass(frozen=True)
class Setback:
    """End of an attempt without outputs.

    Attributes:
        code: One of ``pipeline.domain.failures``.
        message: The words of the provider or of the check, for the chronicle.
        retryable: True if a new attempt may succeed.
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
    """Request to register a video for a post. ``declared`` is compared with the measurement."""

    post_id: UUID
    owner_id: str
    source_url: str | None
    upload_id: UUID | None
    declared: Mapping[str, Any]
    title: str | None = None
    poster_time_sec: float | None = None
    playback: Playback | None = None
    """None takes the installation's own policy."""
    allow_original: bool = False
