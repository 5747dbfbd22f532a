"""The videos that Cloudflare Stream describes, and the report of one in our words."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Generic, Literal, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from pydantic import (
    AliasChoices,
    AliasPath,
    AwareDatetime,
    BeforeValidator,
    Field,
    ValidationError,
)

from pipeline.domain.errors import TransientProviderError
from pipeline.domain.values import JobRef, Outputs, Phase, ProviderStatus
from pipeline.providers import base, transport
from pipeline.providers.transport import VendorDocument
from pipeline.runtime.strict_json import DocumentRefused, read_document

DOWNLOADS = "downloads"
"""The follow-up call that asks for the MP4."""
POSTER_HEIGHT, THUMBNAIL_HEIGHT = 720, 270
WHOLE = 100
PHASES = {
    **dict.fromkeys(("pendingupload", "downloading", "queued"), Phase.WAITING),
    **dict.fromkeys(("inprogress", "live-inprogress"), Phase.RUNNING),
    "ready": Phase.PLAYABLE,
    "error": Phase.FAILED,
}
ERRORS: Mapping[str, tuple[str, bool]] = {
    "ERR_NON_VIDEO": ("unsupported_media", False),
    "ERR_DURATION_EXCEED_CONSTRAINT": ("source_too_long", False),
    "ERR_DURATION_TOO_SHORT": ("source_too_short", False),
    "ERR_MALFORMED_VIDEO": ("source_corrupt", False),
    "ERR_FETCH_ORIGIN_ERROR": ("source_unreachable", True),
    "ERR_UNKNOWN": ("encode_failed", True),
}
"""Our code of each of the vendor's errors, and true if a new attempt may succeed. A code that is
not among them is final."""

Result = TypeVar("Result")
# The vendor writes -1 or nothing for a figure that it does not know yet.
_KNOWN = BeforeValidator(lambda told: None if told in ("", -1) else told)
Figure = Annotated[float | None, _KNOWN]
Count = Annotated[int | None, _KNOWN]


def _at(first: str, second: str) -> Any:
    return Field(None, validation_alias=AliasPath(first, second))


def _fault(name: str) -> Any:
    """Return the field of an error: the vendor's example spells it differently from its schema."""
    paths = (AliasPath("status", f"error{name}"), AliasPath("status", f"err{name}"))
    return Field(None, validation_alias=AliasChoices(*paths))


class StreamVideo(VendorDocument):
    """A video as far as its origin goes."""

    uid: str = Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")
    creator: str | None = None
    name: Any = _at("meta", "name")
    created: AwareDatetime | None = None
    duration: Figure = None

    @property
    def attempt_id(self) -> UUID | None:
        """Our attempt's id; None for a video of another origin."""
        return base.echoed_id(self.creator) or base.echoed_id(str(self.name))


class DetailedVideo(StreamVideo):
    """A video with its state."""

    state: Literal[
        "pendingupload", "downloading", "queued", "inprogress", "live-inprogress", "ready", "error"
    ] = Field(validation_alias=AliasPath("status", "state"))
    percent: Figure = _at("status", "pctComplete")
    fault: str | None = _fault("ReasonCode")
    words: str | None = _fault("ReasonText")
    hls: str | None = _at("playback", "hls")
    thumbnail: str | None = None
    width: Count = _at("input", "width")
    height: Count = _at("input", "height")
    size: Count = None
    modified: str = ""


class StreamMp4(VendorDocument):
    """The downloads of a video; their members are None before an MP4 was asked for."""

    status: Literal["inprogress", "ready", "error"] | None = _at("default", "status")
    url: str | None = _at("default", "url")


class StreamEnvelope(VendorDocument, Generic[Result]):
    """The envelope of an answer."""

    result: Result


class StreamVerdict(VendorDocument):
    """The part that the envelope of every answer has."""

    success: bool
    errors: list[Mapping[str, Any]] | None = None

    @property
    def words(self) -> str:
        """The vendor's errors in its own words."""
        faults = self.errors or ()
        told = (f"{fault.get('code')} {fault.get('message')}" for fault in faults)
        return transport.vendor_words(*told)


def unusable(words: str, request_id: str | None) -> TransientProviderError:
    """Return the error of an answer that is none."""
    return TransientProviderError("provider_failed", words, request_id=request_id)


def video_of(body: bytes) -> DetailedVideo:
    """Read a callback.

    Raises:
        CallbackUnreadable: It is no video as documented.
    """
    try:
        return DetailedVideo.model_validate(read_document(body))
    except (DocumentRefused, ValidationError) as error:
        raise base.CallbackUnreadable("no video as documented") from error


def status_of(video: DetailedVideo, request_id: str | None) -> ProviderStatus:
    """Report a video by its state; one that is ready lacks its outputs."""
    status = ProviderStatus(
        phase=PHASES[video.state],
        attempt_id=video.attempt_id,
        provider_job_id=video.uid,
        provider_request_id=request_id,
        progress=base.percent_of(video.percent),
    )
    if status.phase is not Phase.FAILED:
        return status
    fault = video.fault or "ERR_UNKNOWN"
    code, retryable = ERRORS.get(fault, ("provider_failed", False))
    words = transport.vendor_words(fault, video.words)
    return replace(status, **base.failed(code, words, retryable=retryable))


def ready_status(
    video: DetailedVideo, mp4: StreamMp4, request_id: str | None, job: JobRef
) -> ProviderStatus:
    """Report a video that plays: it is complete with all its qualities and its MP4."""
    status = status_of(video, request_id)
    is_made = mp4.status == "ready"
    if not video.hls or not video.thumbnail or (is_made and not mp4.url):
        raise unusable("ready without an address", request_id)
    if mp4.status == "error":
        return replace(
            status, **base.failed("encode_failed", "the MP4 is in error", retryable=True)
        )
    outputs = Outputs(
        manifest_url=video.hls,
        fallback_url=mp4.url if is_made else None,
        poster_url=_picture(video, job, POSTER_HEIGHT),
        thumbnail_url=_picture(video, job, THUMBNAIL_HEIGHT),
        duration_sec=video.duration,
        width=video.width,
        height=video.height,
        size_bytes=video.size,
    )
    is_whole = is_made and status.progress in {None, WHOLE}
    phase = Phase.COMPLETED if is_whole else Phase.PLAYABLE
    follow_up = DOWNLOADS if mp4.status is None else None
    return replace(status, phase=phase, outputs=outputs, follow_up=follow_up)


def _picture(video: DetailedVideo, job: JobRef, height: int) -> str:
    """Return the address of a picture, at the owner's instant or a quarter into the video.

    The first frame, which is the vendor's own choice, is often black. Both sides are named, because
    for one alone the vendor crops.
    """
    chosen, quarter_sec = job.poster_time_sec, (video.duration or 0) / 4
    query: dict[str, Any] = {"time": f"{quarter_sec if chosen is None else chosen:.3f}s"}
    if video.width and video.height:
        height = min(height, video.height)
        query |= {"height": height, "width": round(video.width * height / video.height)}
    return f"{video.thumbnail}?{urlencode(query)}"
