"""The documents of requests and answers: other members are refused in requests, never answered."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pipeline.domain.output_warnings import WarningCode
from pipeline.domain.processing_step import Step
from pipeline.domain.states import Status
from pipeline.domain.values import Playback
from pipeline.runtime.ids import read_id

MAX_CARDS = 100
MAX_EVENTS = 500
MAX_LIST = 200
MAX_SIDE = 32_768
"""Pixels; well above 8K. It bounds declared sizes, which are not measured."""
MAX_BIGINT = 2**63 - 1


UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""PostgreSQL stores neither NUL nor half of a surrogate pair; the other control characters can
deceive readers of a log."""


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("contains control characters")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Pixels = Annotated[int, Field(strict=True, ge=1, le=MAX_SIDE)]
Bytes = Annotated[int, Field(strict=True, ge=0, le=MAX_BIGINT)]
OwnerId = Annotated[Text, Field(min_length=1, max_length=128)]
Mime = Annotated[Text, Field(min_length=1, max_length=255)]


class Body(BaseModel):
    """A document of a caller; unknown members are refused, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_of(*names: str) -> ConfigDict:
    """Return a configuration whose schema demands exactly one of these members, not null."""
    alternatives: list[JsonValue] = [
        {
            "required": [chosen],
            "properties": {
                name: {"not": {"type": "null"}} if name == chosen else {"type": "null"}
                for name in names
            },
        }
        for chosen in names
    ]
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"oneOf": alternatives})


def _read_given_id(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return read_id(value)
    except ValueError:
        raise PydanticCustomError("uuid_parsing", "Input should be a UUID") from None


GivenId = Annotated[UUID, BeforeValidator(_read_given_id)]
"""An id in a request."""


class CreateBody(Body):
    """The registration of a video for a post, from either ``source_url`` or ``upload_id``."""

    model_config = _one_of("source_url", "upload_id")

    post_id: GivenId
    source_url: Annotated[Text, Field(min_length=1, max_length=4096)] | None = None
    """An http(s) address, or ``storage:{key}`` under the caller's own prefix."""
    upload_id: GivenId | None = None
    """A completed upload of the same post."""
    owner_id: OwnerId | None = None
    """The owner of the video; required from operators, refused from others."""
    mime_type: Mime | None = None
    size_bytes: Bytes | None = None
    duration_sec: Seconds | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    poster_time_sec: Seconds | None = None
    """The instant of the poster; chosen by the pipeline if absent."""
    title: Annotated[Text, Field(max_length=500)] | None = None
    playback: Playback | None = None
    """The readers of the published addresses; the site's own policy if absent."""
    allow_original: Annotated[bool, Field(strict=True)] = False
    """True if the source itself may be shown when it cannot be converted."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source_url is None) == (self.upload_id is None):
            raise ValueError("exactly one of source_url and upload_id is needed")
        return self

    def declared(self) -> dict[str, Any]:
        """Return the caller's description of the media, which is shown and never relied on."""
        names = ("mime_type", "size_bytes", "duration_sec", "width", "height")
        return self.model_dump(include=set(names), exclude_none=True)


class RetryBody(Body):
    """The post whose failed video is to be retried."""

    post_id: GivenId


class EventsQuery(Body):
    """A page of the chronicle."""

    after: Annotated[int, Field(ge=0, le=MAX_BIGINT)] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_EVENTS)] = 100


class ListQuery(Body):
    """Either ``post_ids`` (public cards) or ``status`` (the operators' list)."""

    model_config = _one_of("post_ids", "status")

    post_ids: Annotated[str, Field(max_length=40 * MAX_CARDS)] | None = None
    """Up to 100 ids, comma-separated."""
    status: Status | None = None
    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIST)] = 50

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.post_ids is None) == (self.status is None):
            raise ValueError("exactly one of post_ids and status is needed")
        return self


class StreamQuery(Body):
    """The posts to follow, and the ticket of the viewer."""

    post_ids: Annotated[str, Field(max_length=40 * MAX_CARDS)]
    """Up to 100 ids, comma-separated."""
    ticket: Annotated[str, Field(max_length=1000)] | None = None
    """A ticket of `POST /api/stream-tickets`."""


class StreamTicketOut(BaseModel):
    """A ticket that opens streams with the caller's rights."""

    ticket: str
    expires_at: AwareDatetime
    """From this instant the ticket opens no stream; a stream that is open continues."""


class GoneOut(BaseModel):
    """The message of a stream that a post has no video."""

    post_id: UUID


class WarningOut(BaseModel):
    """A difference of the published outputs from their source."""

    code: WarningCode
    message: str
    """The sentence for people."""


class AssetOut(BaseModel):
    """A video of a post, in the view of its owner and of operators."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    post_id: UUID
    owner_id: str
    title: str | None
    playback: Playback
    """The readers of the addresses below: `public` for everybody, `signed` for those with a right,
    for a limited time."""
    allow_original: bool
    status: Status
    step: Step | None
    """The current activity while the status is ``processing``."""
    generation: int
    attempt: int
    max_attempts: int
    next_attempt_at: datetime | None
    hold_reason: str | None
    """The reason that the video waits without spending its retry budget; null if it does not."""
    hold_message: str | None
    """The sentence for people of ``hold_reason``."""
    queue_position: int | None
    """The position among all videos that wait and are due; 1 is next. It is given for a single
    post and in streams; null in the operators' list, in answers to changes, and over 1000."""
    queue_wait_sec: float | None
    """The estimated wait until processing begins, by the pace of the last hour; null if the last
    hour has too few videos for an estimate."""
    provider: str
    provider_job_id: str | None
    progress: float | None
    """Percent, 0 to 100, while the video is processed."""
    playable: bool
    """True if an output is published, in any status."""
    manifest_url: str | None
    fallback_url: str | None
    poster_url: str | None
    thumbnail_url: str | None
    storyboard_url: str | None
    """Small pictures along the timeline, for a preview while seeking."""
    urls_expire_at: AwareDatetime | None
    """The end of the addresses; null if they do not expire."""
    duration_sec: float | None
    width: int | None
    height: int | None
    error_code: str | None
    error_message: str | None
    retryable: bool | None
    """True if a retry may help; null unless the video failed."""
    warnings: list[WarningOut]
    """The differences of the published outputs from their source; empty if there are none."""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    playable_at: AwareDatetime | None
    completed_at: AwareDatetime | None


class AssetPage(BaseModel):
    """A page of the operators' list, most recently changed first."""

    assets: list[AssetOut]
    next_cursor: str | None
    """The ``cursor`` of the next page; null on the last page."""


class CardOut(BaseModel):
    """The public view of a post's video; without a right to it, a signed video has none."""

    asset_id: UUID
    post_id: UUID
    title: str | None
    playback: Playback
    status: Status
    step: Step | None
    """The current activity while the status is ``processing``."""
    playable: bool
    """True if an output is published, in any status. False if only the original is shown."""
    source: Literal["processed", "original", "none"]
    """The origin of the addresses below: `processed` for our outputs; `original` for the source
    itself, as ``fallback_url``, until the video is processed; `none` if the viewer gets none."""
    progress: float | None
    manifest_url: str | None
    fallback_url: str | None
    poster_url: str | None
    thumbnail_url: str | None
    storyboard_url: str | None
    """Small pictures along the timeline, for a preview while seeking."""
    urls_expire_at: AwareDatetime | None
    """The end of the addresses; null if they do not expire. Request the card again before."""
    duration_sec: float | None
    width: int | None
    height: int | None
    updated_at: AwareDatetime


class CardList(BaseModel):
    """Cards in the order of the request; the caller's own videos are complete assets.

    A post without a video has no entry.
    """

    assets: list[CardOut | AssetOut]


class ListOut(RootModel[CardList | AssetPage]):
    """Cards for ``post_ids``, or the operators' page for ``status``."""


class EventOut(BaseModel):
    """An event of the chronicle."""

    model_config = ConfigDict(from_attributes=True)

    seq: int
    type: str
    from_status: Status | None
    to_status: Status | None
    actor: str
    """``owner:{id}``, ``worker``, ``sweep``, ``provider:{name}`` or ``operator:{name}``. For an
    owner it is ``operator`` without a name."""
    generation: int
    attempt: int | None
    provider: str | None
    provider_job_id: str | None
    provider_request_id: str | None
    provider_event_id: str | None
    detail: dict[str, Any]
    created_at: AwareDatetime


class EventPage(BaseModel):
    """A page of the chronicle, oldest first."""

    events: list[EventOut]
    next_after: int | None
    """The ``after`` of the next page; null if there are no more events yet."""


class CallbackOut(BaseModel):
    """The result of a callback."""

    result: Literal["stored", "duplicate", "callback_conflict", "dead"]


class ProblemError(BaseModel):
    """An error of one member of a request."""

    pointer: str | None = None
    """JSON Pointer into the body."""
    parameter: str | None = None
    """Name of the query parameter."""
    message: str


class ProblemOut(BaseModel):
    """An error, as RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    retryable: bool
    request_id: str | None
    errors: list[ProblemError]
    current: dict[str, Any] | None = None
    """The current state, on a conflict."""
