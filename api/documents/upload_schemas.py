"""The documents of direct uploads."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from api.documents.schemas import Body, Bytes, Mime, OwnerId, Text

MAX_REQUESTED = 100
"""Parts asked for at a time: hours of sending, and an answer of at most 100 kB."""

Md5 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{22}==$")]
"""16 bytes in base64, as in ``Content-MD5`` (RFC 1864)."""
PartNumber = Annotated[int, Field(strict=True, ge=1, le=10_000)]


class UploadBody(Body):
    """Asks for a ticket to upload one file."""

    post_id: UUID
    filename: Annotated[Text, Field(min_length=1, max_length=255)]
    size_bytes: Bytes
    mime_type: Mime
    owner_id: OwnerId | None = None
    """Whose upload it is to be: for operators, who must say so."""


class PartNumbersBody(Body):
    """Asks how parts are to be sent."""

    numbers: Annotated[list[PartNumber], Field(min_length=1, max_length=MAX_REQUESTED)]
    md5: dict[Annotated[int, Field(ge=1, le=10_000)], Md5] = Field(default_factory=dict)
    """Digests of parts, by number. What does not match is refused on arrival."""


class PartBody(Body):
    """Says that a part was sent."""

    etag: Annotated[str, Field(pattern=r'^"?[!#-~]{1,128}"?$')] | None = None
    """The ``ETag`` of the answer to the part; null where a page cannot see it."""


class PartPlanOut(BaseModel):
    """How the file is cut: into parts of one size, but for the last."""

    size_bytes: int
    count: int
    url: str
    """Where to ask how they are sent (``POST``), with the ticket's headers."""


class TicketOut(BaseModel):
    """How to send the file: in one request, or in parts."""

    upload_id: UUID
    method: Literal["PUT"] | None
    """Of the one request; null where the file comes in parts."""
    url: str | None
    """Of the one request; null where the file comes in parts."""
    headers: dict[str, str]
    """The ticket: for the one request, or for whatever is asked about the parts."""
    parts: PartPlanOut | None
    """Null where the file comes in one request."""
    expires_at: AwareDatetime


class PartRequestOut(BaseModel):
    """How one part is sent: with these headers, and answered with an ``ETag``."""

    number: int
    size_bytes: int
    method: Literal["PUT"]
    url: str
    """An authority in itself: for nobody else, and for no log."""
    headers: dict[str, str]


class PartRequestsOut(BaseModel):
    """How parts are sent, each for itself, in any order, several at once."""

    parts: list[PartRequestOut]
    expires_at: AwareDatetime
    """Ask again after that."""


class PartOut(BaseModel):
    """A part that has arrived."""

    number: int
    size_bytes: int
    etag: str


class ReceivedOut(BaseModel):
    """What has arrived of an upload."""

    upload_id: UUID
    received_bytes: int


class ProgressOut(BaseModel):
    """How far an upload is: what to go on from."""

    upload_id: UUID
    post_id: UUID
    size_bytes: int
    received_bytes: int
    part_size_bytes: int
    part_count: int
    parts: list[PartOut]
    """Those that have arrived, by number. Send the others."""
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
