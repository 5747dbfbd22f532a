"""The documents of direct uploads."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from api.documents.schemas import Body, Bytes, GivenId, Mime, OwnerId, Text

MAX_REQUESTED = 100
"""The most parts in one request: hours of sending, and an answer of at most 100 kB."""

Md5 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{22}==$")]
"""16 bytes in base64, as in ``Content-MD5`` (RFC 1864)."""
PartNumber = Annotated[int, Field(strict=True, ge=1, le=10_000)]


class UploadBody(Body):
    """A request for a ticket to upload one file."""

    post_id: GivenId
    filename: Annotated[Text, Field(min_length=1, max_length=255)]
    size_bytes: Bytes
    mime_type: Mime
    owner_id: OwnerId | None = None
    """The owner of the upload; required from operators, refused from others."""


class PartNumbersBody(Body):
    """A request for the addresses and headers of parts."""

    numbers: Annotated[list[PartNumber], Field(min_length=1, max_length=MAX_REQUESTED)]
    md5: dict[Annotated[int, Field(ge=1, le=10_000)], Md5] = Field(default_factory=dict)
    """Digests of parts, by number. A part that does not match its digest is refused on arrival."""


class PartBody(Body):
    """The confirmation that a part was sent."""

    etag: Annotated[str, Field(pattern=r'^"?[!#-~]{1,128}"?$')] | None = None
    """The ``ETag`` of the answer to the part; null if a page cannot read it."""


class PartPlanOut(BaseModel):
    """The division of the file into parts of one size; the last one may be smaller."""

    size_bytes: int
    count: int
    url: str
    """The address that returns how parts are sent (``POST``), with the ticket's headers."""


class TicketOut(BaseModel):
    """The permission to send the file, in one request or in parts."""

    upload_id: UUID
    method: Literal["PUT"] | None
    """The method of the one request; null if the file is sent in parts."""
    url: str | None
    """The address of the one request; null if the file is sent in parts."""
    headers: dict[str, str]
    """The ticket: the headers of the one request, or of every request about parts."""
    parts: PartPlanOut | None
    """Null if the file is sent in one request."""
    expires_at: AwareDatetime


class PartRequestOut(BaseModel):
    """The request that sends one part; its answer has an ``ETag``."""

    number: int
    size_bytes: int
    method: Literal["PUT"]
    url: str
    """The address authorises its bearer: keep it secret and out of logs."""
    headers: dict[str, str]


class PartRequestsOut(BaseModel):
    """The requests that send parts, in any order and several at once."""

    parts: list[PartRequestOut]
    expires_at: AwareDatetime
    """The end of the addresses; request them again after it."""


class PartOut(BaseModel):
    """A part that has arrived."""

    number: int
    size_bytes: int
    etag: str


class ReceivedOut(BaseModel):
    """The amount of an upload that has arrived."""

    upload_id: UUID
    received_bytes: int


class ProgressOut(BaseModel):
    """The state of an upload, from which a client resumes."""

    upload_id: UUID
    post_id: UUID
    size_bytes: int
    received_bytes: int
    part_size_bytes: int
    part_count: int
    parts: list[PartOut]
    """The parts that have arrived, by number. The client sends the others."""
    expires_at: AwareDatetime
    completed_at: AwareDatetime | None


class UploadOut(BaseModel):
    """A completed upload, as measured."""

    upload_id: UUID
    post_id: UUID
    size_bytes: int
    duration_sec: float
    width: int
    height: int
    video_codec: str
    audio_codec: str | None
    completed_at: AwareDatetime
