"""Upload tickets: an owner asks for one, and its holder may send one file.

The ticket's id becomes the asset's id, so that the stored file never moves.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from uuid import UUID, uuid4

from itsdangerous import BadData
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.config.media_settings import SourceSettings, UploadSettings
from pipeline.content.object_urls import source_key
from pipeline.domain.errors import Conflict, NotFound, TooLarge, Unprocessable
from pipeline.domain.part_plan import PartPlan, part_size_for
from pipeline.limits.unclaimed_uploads import refuse_unclaimed
from pipeline.records.models import Upload
from pipeline.runtime.signed_tokens import Keys, read_token, sign_token

_PURPOSE = "khronika.upload-ticket.v2"
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")


@dataclass(frozen=True)
class NewUpload:
    """A caller's description of the file it wants to send."""

    post_id: UUID
    owner_id: str
    filename: str
    size_bytes: int
    mime_type: str


@dataclass(frozen=True)
class Ticket:
    """The right to send one file.

    Attributes:
        token: Authority of the sender; it names the upload and its owner.
        parts: Division of the file into parts; None for a file that is sent in one request.
    """

    upload_id: UUID
    token: str
    expires_at: datetime
    parts: PartPlan | None


def check_declared(
    sources: SourceSettings,
    *,
    mime_type: str | None = None,
    size_bytes: int | None = None,
    duration_sec: float | None = None,
) -> None:
    """Refuse a file by its declared facts, before it is uploaded.

    Raises:
        TooLarge: ``source_too_large``.
        Unprocessable: ``source_empty``, ``source_too_long``, ``unsupported_media``.
    """
    if mime_type is not None and not mime_type.lower().startswith("video/"):
        raise Unprocessable("unsupported_media", f"{mime_type} is not a video type.")
    if size_bytes == 0:
        raise Unprocessable("source_empty", "A file of 0 bytes holds no video.")
    if size_bytes is not None and size_bytes > sources.max_bytes:
        raise TooLarge("source_too_large", f"At most {sources.max_bytes} bytes are accepted.")
    if duration_sec is not None and duration_sec > sources.max_duration_sec:
        raise Unprocessable(
            "source_too_long", f"At most {sources.max_duration_sec:.0f} s are accepted."
        )


def issue_ticket(
    session: Session,
    request: NewUpload,
    *,
    key: str,
    uploads: UploadSettings,
    sources: SourceSettings,
    owner_limits: OwnerLimitSettings,
    now: datetime,
    api_key_id: UUID | None = None,
) -> Ticket:
    """Register an upload and return its ticket.

    Args:
        api_key_id: The API key of the caller; the ticket ends with it.

    Raises:
        TooLarge, Unprocessable: see ``check_declared``.
        Forbidden: ``not_enrolled``.
        LimitReached: ``too_many_uploads``, ``owner_busy``.
    """
    check_declared(sources, mime_type=request.mime_type, size_bytes=request.size_bytes)
    refuse_unclaimed(session, owner_limits, request.owner_id, asked_bytes=request.size_bytes)
    upload_id = uuid4()
    issued = insert(Upload).values(
        id=upload_id,
        owner_id=request.owner_id,
        post_id=request.post_id,
        filename=request.filename,
        mime_type=request.mime_type,
        size_bytes=request.size_bytes,
        storage_key=source_key(
            request.owner_id, request.post_id, upload_id, _extension(request.filename)
        ),
        part_size_bytes=part_size_for(request.size_bytes, least_bytes=uploads.part_bytes),
        created_at=now,
        expires_at=now + timedelta(seconds=uploads.expires_sec),
    )
    # The columns are named because the API may write only these columns of a new upload.
    upload = session.scalars(issued.returning(Upload)).one()
    return _ticket(upload, key, api_key_id)


def reissue_ticket(
    session: Session, upload_id: UUID, *, key: str, api_key_id: UUID | None = None
) -> Ticket:
    """Return the ticket of a registered upload again; the same caller gets the same ticket.

    Raises:
        Conflict: ``upload_expired``: it was never completed, and its row is deleted.
    """
    upload = session.scalars(select(Upload).where(Upload.id == upload_id)).one_or_none()
    if upload is None:
        raise Conflict("upload_expired", "This ticket has expired; ask for a new one.")
    return _ticket(upload, key, api_key_id)


def _ticket(upload: Upload, key: str, api_key_id: UUID | None) -> Ticket:
    key_hex = api_key_id.hex if api_key_id else None
    token = sign_token(key, [str(upload.id), upload.owner_id, key_hex], purpose=_PURPOSE)
    part_size = upload.part_size_bytes
    plan = None if part_size is None else PartPlan(upload.size_bytes, part_size)
    return Ticket(upload.id, token, upload.expires_at, plan)


@dataclass(frozen=True)
class TicketHolder:
    """The owner of an upload, and the API key that asked for its ticket, if one did."""

    owner_id: str
    api_key_id: UUID | None


def holder_of_ticket(token: str, upload_id: UUID, *, key: Keys) -> TicketHolder:
    """Return the holder of the ticket of an upload. The caller checks the holder's API key.

    Raises:
        NotFound: ``upload_not_found``: not a ticket of ours, or one for another upload.
    """
    try:
        named, owner_id, key_hex = read_token(key, token, purpose=_PURPOSE)
    except (BadData, ValueError, TypeError):
        raise NotFound("upload_not_found") from None
    if named != str(upload_id):
        raise NotFound("upload_not_found")
    return TicketHolder(str(owner_id), UUID(key_hex) if key_hex else None)


def _extension(filename: str) -> str:
    """Return the suffix of the name, for people who look into the storage."""
    suffix = PurePosixPath(filename).suffix.lower().removeprefix(".")
    return suffix if _EXTENSION.fullmatch(suffix) else "bin"
