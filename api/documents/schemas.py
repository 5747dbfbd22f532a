"""The documents that come in and go out. What is not named here is refused, or never shown."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    RootModel,
    model_validator,
)

from pipeline.domain.processing_step import Step
from pipeline.domain.states import Status
from pipeline.domain.values import Playback

MAX_CARDS = 100
MAX_EVENTS = 500
MAX_LIST = 200
MAX_SIDE = 32_768
"""Pixels: above 8K with room, and a bound for what is merely declared."""
MAX_BIGINT = 2**63 - 1


UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""PostgreSQL stores neither NUL nor half a surrogate pair; the other control characters only
serve to deceive whoever reads a log."""


def _storable(text: str) -> str:
    if UNSTORABLE.search(text):
        raise ValueError("holds control characters")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Pixels = Annotated[int, Field(strict=True, ge=1, le=MAX_SIDE)]
Bytes = Annotated[int, Field(strict=True, ge=0, le=MAX_BIGINT)]
OwnerId = Annotated[Text, Field(min_length=1, max_length=128)]
Mime = Annotated[Text, Field(min_length=1, max_length=255)]


class Body(BaseModel):
    """A document of a caller: unknown members are refused, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_of(*names: str) -> ConfigDict:
    """Say in the schema, too, that exactly one of these members is given and not null."""
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


class CreateBody(Body):
    """Registers a video for a post. Exactly one of ``source_url`` and ``upload_id``."""

    model_config = _one_of("source_url", "upload_id")

    post_id: UUID
    source_url: Annotated[Text, Field(min_length=1, max_length=4096)] | None = None
    """An http(s) address, or ``storage:{key}`` under the caller's own prefix."""
    upload_id: UUID | None = None
    """A completed upload of the same post."""
    owner_id: OwnerId | None = None
    """Whose video it is to be: for operators, who must say so."""
    mime_type: Mime | None = None
    size_bytes: Bytes | None = None
    duration_sec: Seconds | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    poster_time_sec: Seconds | None = None
    """Where the poster is taken; chosen for you when absent."""
    title: Annotated[Text, Field(max_length=500)] | None = None
    playback: Playback | None = None
    """Who is given the addresses of what is published; the site's own policy when absent."""
    allow_original: Annotated[bool, Field(strict=True)] = False
    """Whether the source itself may be shown, as it is, if it cannot be converted."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source_url is None) == (self.upload_id is None):
            raise ValueError("exactly one of source_url and upload_id is needed")
        return self

    def declared(self) -> dict[str, Any]:
        """What the caller says of the media: kept, shown, and believed in nothing."""
        names = ("mime_type", "size_bytes", "duration_sec", "width", "height")
        return self.model_dump(include=set(names), exclude_none=True)


class RetryBody(Body):
    """Names the post whose failed video is to be tried again."""

    post_id: UUID


class EventsQuery(Body):
    """Which page of the chronicle."""

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
    """Which posts to follow, and as whom."""

    post_ids: Annotated[str, Field(max_length=40 * MAX_CARDS)]
    """Up to 100 ids, comma-separated."""
    ticket: Annotated[str, Field(max_length=1000)] | None = None
    """Of `POST /api/stream-tickets`."""


class StreamTicketOut(BaseModel):
    """Opens streams as the caller."""

    ticket: str
    expires_at: AwareDatetime
    """From when on it opens none. A stream that is open then goes on to its own end."""


class GoneOut(BaseModel):
    """What a stream says of a post that has no video."""

    post_id: UUID


class AssetOut(BaseModel):
    """A video of a post, as its owner and operators see it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    post_id: UUID
    owner_id: str
    title: str | None
    playback: Playback
    """Who is given the addresses below: everybody, or those with a right, for a while."""
    allow_original: bool
    status: Status
    step: Step | None
    """What is going on while it is ``processing``."""
    generation: int
    attempt: int
    max_attempts: int
    next_attempt_at: datetime | None
    hold_reason: str | None
    """Why it waits without spending its retry budget; null while it does not."""
    hold_message: str | None
    """The same for people."""
    queue_position: int | None
    """Its place among everybody's videos that wait and are due, 1 being next. Told where it is
    asked for by its post or followed; null in the operators' list, in answers to changes, and over
    1000."""
    queue_wait_sec: float | None
    """About how long until it is taken up, by the pace of the last hour; null where that is too
    little to say."""
    provider: str
    provider_job_id: str | None
    progress: float | None
    """Percent, 0 to 100, while it is being processed."""
    playable: bool
    """Something is published, whatever the status."""
    manifest_url: str | None
    fallback_url: str | None
    poster_url: str | None
    thumbnail_url: str | None
    storyboard_url: str | None
    """Small pictures along the timeline, for a preview while seeking."""
    urls_expire_at: AwareDatetime | None
    """Until when the addresses work; null when they do not end."""
    duration_sec: float | None
    width: int | None
    height: int | None
    error_code: str | None
    error_message: str | None
    retryable: bool | None
    """Whether trying again may help; null unless it failed."""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    playable_at: AwareDatetime | None
    completed_at: AwareDatetime | None


class AssetPage(BaseModel):
    """A page of the operators' list, most recently changed first."""

    assets: list[AssetOut]
    next_cursor: str | None
    """Give it as ``cursor`` for the next page; null on the last one."""


class CardOut(BaseModel):
    """What a page may show of a post's video.

    Everybody sees this of a public video. Of a signed one, those without a right to it see no
    title and no address.
    """

    asset_id: UUID
    post_id: UUID
    title: str | None
    playback: Playback
    status: Status
    step: Step | None
    """What is going on while it is ``processing``."""
    playable: bool
    """Something is published, whatever the status. False for an original that stands in."""
    source: Literal["processed", "original", "none"]
    """Where the addresses below lead: to what was made of the source; to the source itself, as
    ``fallback_url``, until the video is processed; or nowhere for who asks."""
    progress: float | None
    manifest_url: str | None
    fallback_url: str | None
    poster_url: str | None
    thumbnail_url: str | None
    storyboard_url: str | None
    """Small pictures along the timeline, for a preview while seeking."""
    urls_expire_at: AwareDatetime | None
    """Until when the addresses work; null when they do not end. Ask again before."""
    duration_sec: float | None
    width: int | None
    height: int | None
    updated_at: AwareDatetime


class CardList(BaseModel):
    """Cards in the order asked for, and in place of the caller's own the owner's documents.

    A post without a video has none.
    """

    assets: list[CardOut | AssetOut]


class ListOut(RootModel[CardList | AssetPage]):
    """Cards for ``post_ids``, the operators' page for ``status``."""


class EventOut(BaseModel):
    """One line of the chronicle."""

    model_config = ConfigDict(from_attributes=True)

    seq: int
    type: str
    from_status: Status | None
    to_status: Status | None
    actor: str
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
    """Give it as ``after`` for the next page; null when there is nothing more yet."""


class CallbackOut(BaseModel):
    """What became of a callback."""

    result: Literal["stored", "duplicate", "callback_conflict", "dead"]


class ProblemError(BaseModel):
    """What is wrong with one part of a request."""

    pointer: str | None = None
    """JSON Pointer into the body."""
    parameter: str | None = None
    """Name of the query parameter."""
    message: str


class ProblemOut(BaseModel):
    """RFC 9457: every error looks like this."""

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
    """On a conflict: the state as it is."""
