"""Values that pass between modules: plain, frozen, standard library only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pipeline.domain.output_warnings import OutputWarning


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


class Verb(StrEnum):
    """Kinds of calls that a vendor limits separately."""

    WRITE = "write"
    """Calls that make, change or remove a job."""
    READ = "read"
    """Calls that only read."""


@dataclass(frozen=True)
class Rate:
    """Most calls that a vendor takes.

    Attributes:
        per_sec: Calls in a second, on average.
        burst: Calls that may follow each other at once.
    """

    per_sec: float
    burst: int = 1


class Phase(StrEnum):
    """State of a job at its provider, in our words."""

    WAITING = "waiting"
    """Accepted, in the provider's own queue."""
    RUNNING = "running"
    """The provider is processing it."""
    PLAYABLE = "playable"
    """The manifest plays; other outputs are still to come."""
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
    DEFERRED = "deferred"
    """The provider had no room for the job; this is no failure."""
    REFUSED = "refused"
    """The provider refused the job before it was taken."""
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
class Caption:
    """Captions or subtitles in the manifest of a job's outputs.

    Attributes:
        language: BCP 47; None if the provider does not say.
    """

    label: str
    language: str | None = None


@dataclass(frozen=True)
class Outputs:
    """Outputs of a job. URLs are absolute, or ``storage:{key}`` in our own storage.

    Attributes:
        fallback_url: The progressive MP4; None until the provider has made it.
        poster_url: The picture before the video plays; None until the provider has made it.
        thumbnail_url: A small picture; None takes the poster.
        duration_sec: None if the provider does not say. So are width and height, in pixels.
        source_sec: Length of the source, as the provider measured it by all of its packets; None if
            it did not.
        storyboard_url: WebVTT that names small pictures along the timeline; None if the provider
            makes none.
        warnings: Differences from the source that the provider names.
    """

    manifest_url: str
    fallback_url: str | None = None
    poster_url: str | None = None
    thumbnail_url: str | None = None
    duration_sec: float | None = None
    width: int | None = None
    height: int | None = None
    renditions: Sequence[Mapping[str, Any]] = ()
    size_bytes: int | None = None
    source_sec: float | None = None
    storyboard_url: str | None = None
    warnings: Sequence[OutputWarning] = ()

    @property
    def is_complete(self) -> bool:
        """True if every output that a completed video needs is there."""
        return self.fallback_url is not None and self.poster_url is not None


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
        outputs: Set when the phase is ``PLAYABLE`` or ``COMPLETED``.
        error_code: A code of ``pipeline.domain.failures`` when the phase is ``FAILED``.
        retryable: True if a new attempt may succeed.
        follow_up: Name of the call that the provider needs from us next; None for none. The
            adapter makes it in ``advance``, and reports it until it has taken effect.
        vendor: Facts that the adapter wants to keep on the attempt.
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
    follow_up: str | None = None
    vendor: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LookAtJob:
    """A callback that says no more than "ask me about this job now".

    Attributes:
        provider_job_id: The provider's id of the job.
        attempt_id: Our attempt's id; None if the provider does not echo it.
        event: The vendor's name of the event, for the chronicle.
    """

    provider_job_id: str
    attempt_id: UUID | None = None
    event: str | None = None


@dataclass(frozen=True)
class ConfirmSubscription:
    """A callback that asks us to fetch an address, so that its sender delivers others.

    Attributes:
        url: It must lie on one of the account's ``document_hosts``.
    """

    url: str


@dataclass(frozen=True)
class CallbackEnvelope:
    """A callback as it arrived.

    Attributes:
        headers: By name in lower case.
        query: The query string, undecoded.
        documents: Documents that its verification needs, by URL; see ``Provider.documents_for``.
    """

    headers: Mapping[str, str]
    body: bytes
    query: str = ""
    documents: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class SignedCallback:
    """A callback with a valid signature.

    Attributes:
        event_id: Identifies the event: redeliveries have the same id. At most 255 printable ASCII
            characters.
        signed_at: Instant of the signature; None if the vendor signs none.
        digest: Distinguishes events that share an id by mistake or by forgery. It leaves out what
            differs from one redelivery to the next, such as the time of the try. None takes the
            SHA-256 of the body.
    """

    event_id: str
    signed_at: datetime | None = None
    digest: str | None = None


@dataclass(frozen=True)
class SourceFacts:
    """Measurements of a source, for a provider's request and for the choice of a provider.

    Attributes:
        size_bytes: None if its server does not say.
        container: Name of the container, such as ``mp4`` or ``matroska``.
        frame_rate: Frames per second; None if it is not constant or unknown.
    """

    duration_sec: float
    width: int
    height: int
    container: str
    size_bytes: int | None = None
    frame_rate: float | None = None

    @property
    def short_side(self) -> int:
        """The smaller of width and height, in pixels."""
        return min(self.width, self.height)


@dataclass(frozen=True)
class SubmitRequest:
    """Order to a provider to process one attempt.

    Attributes:
        attempt_id: Our external id of the job; never reused.
        source_url: Absolute URL from which the provider can fetch the source.
        source_key: Key of the source in our storage, for a provider that reads our storage; None
            for a remote source.
        output_prefix: Prefix for manifest, segments and fallback, for a provider that writes to
            our storage.
        poster_prefix: Prefix for poster and thumbnail, likewise.
        source: Measurements of the source.
        source_etag: ETag of the measured source; None if its server does not say. A provider that
            can, refuses a source of another size or ETag as ``source_changed``.
        poster_time_sec: Instant of the poster that the owner chose; None leaves it to the provider.
        max_profile: The largest rendition to make; None leaves it to the provider.
        playback: Readers of the outputs.
        crashes: Machines that earlier jobs of this asset stopped, as their providers reported it.
    """

    asset_id: UUID
    attempt_id: UUID
    source_url: str
    output_prefix: str
    poster_prefix: str
    source: SourceFacts
    source_etag: str | None = None
    poster_time_sec: float | None = None
    title: str | None = None
    max_profile: Profile | None = None
    playback: Playback = Playback.PUBLIC
    source_key: str | None = None
    crashes: int = 0


@dataclass(frozen=True)
class Submitted:
    """Acceptance of a job by its provider.

    Attributes:
        vendor: Facts that the adapter wants to keep on the attempt.
    """

    provider_job_id: str
    provider_request_id: str | None = None
    vendor: Mapping[str, Any] = field(default_factory=dict)


CRASHES = "crashes"
"""Key of an attempt's vendor facts: the number of machines that its job stopped."""

FOLLOWED_UP = "followed_up"
"""Key of an attempt's vendor facts: the names of the follow-up calls that were made."""


@dataclass(frozen=True)
class JobRef:
    """A job of ours at a provider.

    Attributes:
        attempt_id: Our external id of the job.
        provider_job_id: The provider's id of it; None as long as it is unknown.
        intended_at: Instant just before the call that may have made it.
        vendor: Facts that the adapter has kept on the attempt.
        poster_time_sec: Instant of the poster that the owner chose, for a provider that is told it
            in a call of its own.
    """

    attempt_id: UUID
    provider_job_id: str | None
    intended_at: datetime
    vendor: Mapping[str, Any] = field(default_factory=dict)
    poster_time_sec: float | None = None

    def has_followed_up(self, name: str) -> bool:
        """Return true if the follow-up call of this name was made."""
        return name in self.vendor.get(FOLLOWED_UP, ())


@dataclass(frozen=True)
class ListedJob:
    """A job as its provider lists it, for the audit of an account.

    Attributes:
        attempt_id: Our external id, as the provider echoes it; None for a job without one.
        duration_sec: Length of the media that the provider bills; None if it does not say.
        is_over: It is kept as a record only: nothing more is billed, and nothing can be released.
    """

    provider_job_id: str
    created_at: datetime
    attempt_id: UUID | None = None
    duration_sec: float | None = None
    is_over: bool = False


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
