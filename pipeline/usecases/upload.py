"""Take a source in directly: a ticket, the content, the checks.

The ticket's id becomes the asset's id, so that what has arrived never moves.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import PurePosixPath
from uuid import UUID, uuid4

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pipeline.addresses import source_key
from pipeline.crash import Boundary, crash_point
from pipeline.errors import Conflict, DomainError, NotFound, TooLarge, Unprocessable
from pipeline.media.limits import Limits, MediaRefused, Refusal, check_limits
from pipeline.media.probe import probe
from pipeline.media.source_info import SourceInfo
from pipeline.media.tools import Tools
from pipeline.models import Upload
from pipeline.settings import Settings
from pipeline.storage.base import ObjectMissing, Storage
from pipeline.storage.base import TooLarge as ContentTooLarge

Begin = Callable[[], AbstractContextManager[Session]]
"""Opens a transaction that sees the owner's rows and commits at its end. These use cases open
several, because none may be open while bytes arrive or ffprobe runs."""

_PURPOSE = "khronika.upload-ticket.v1"
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")


@dataclass(frozen=True)
class NewUpload:
    """What a caller says of the file it wants to send."""

    post_id: UUID
    owner_id: str
    filename: str
    size_bytes: int
    mime_type: str


@dataclass(frozen=True)
class Ticket:
    """The right to send one file.

    Attributes:
        token: The authority of whoever sends the content; names the upload and its owner.
    """

    upload_id: UUID
    token: str
    expires_at: datetime


def check_declared(
    settings: Settings,
    *,
    mime_type: str | None = None,
    size_bytes: int | None = None,
    duration_sec: float | None = None,
) -> None:
    """Refuse what its sender already says we would refuse; saves them the upload.

    Raises:
        TooLarge: ``source_too_large``.
        Unprocessable: ``source_empty``, ``source_too_long``, ``unsupported_media``.
    """
    if mime_type is not None and not mime_type.lower().startswith("video/"):
        raise Unprocessable("unsupported_media", f"{mime_type} is not a video type.")
    if size_bytes == 0:
        raise Unprocessable("source_empty", "A file of 0 bytes holds no video.")
    if size_bytes is not None and size_bytes > settings.source_max_bytes:
        raise TooLarge(
            "source_too_large", f"At most {settings.source_max_bytes} bytes are accepted."
        )
    if duration_sec is not None and duration_sec > settings.source_max_duration_sec:
        raise Unprocessable(
            "source_too_long", f"At most {settings.source_max_duration_sec:.0f} s are accepted."
        )


def issue_ticket(
    session: Session, request: NewUpload, *, settings: Settings, now: datetime
) -> Ticket:
    """Register an upload and hand out the right to send its content.

    Raises:
        TooLarge, Unprocessable: see ``check_declared``.
    """
    check_declared(settings, mime_type=request.mime_type, size_bytes=request.size_bytes)
    upload_id = uuid4()
    expires_at = now + timedelta(seconds=settings.upload_expires_sec)
    session.add(
        Upload(
            id=upload_id,
            owner_id=request.owner_id,
            post_id=request.post_id,
            filename=request.filename,
            mime_type=request.mime_type,
            size_bytes=request.size_bytes,
            storage_key=source_key(
                request.owner_id, request.post_id, upload_id, _extension(request.filename)
            ),
            created_at=now,
            expires_at=expires_at,
        )
    )
    session.flush()
    return _ticket(upload_id, request.owner_id, expires_at, settings)


def reissue_ticket(session: Session, upload_id: UUID, *, settings: Settings) -> Ticket:
    """The ticket of an upload that was registered before: the same one, because it is signed.

    Raises:
        Conflict: ``upload_expired``: it was never completed, and is forgotten.
    """
    upload = session.scalars(select(Upload).where(Upload.id == upload_id)).one_or_none()
    if upload is None:
        raise _expired()
    return _ticket(upload.id, upload.owner_id, upload.expires_at, settings)


def _ticket(upload_id: UUID, owner_id: str, expires_at: datetime, settings: Settings) -> Ticket:
    token = _tickets(settings).dumps([str(upload_id), owner_id])
    return Ticket(upload_id, str(token), expires_at)


def owner_of_ticket(token: str, upload_id: UUID, *, settings: Settings) -> str:
    """Whose upload a ticket is for.

    Raises:
        NotFound: ``upload_not_found``: not a ticket of ours, or one for another upload.
    """
    try:
        named, owner_id = _tickets(settings).loads(token)
    except (BadData, ValueError, TypeError):
        raise NotFound("upload_not_found") from None
    if named != str(upload_id):
        raise NotFound("upload_not_found")
    return str(owner_id)


def receive_content(
    begin: Begin, upload_id: UUID, chunks: Iterable[bytes], *, storage: Storage, now: datetime
) -> int:
    """Store the content of an upload as it arrives; safe to repeat until it is completed.

    Args:
        chunks: The content. What it raises, such as a lost connection, passes through, and
            leaves nothing behind.

    Returns:
        The bytes received.

    Raises:
        NotFound: ``upload_not_found``.
        Conflict: ``upload_completed``, ``upload_expired``.
        TooLarge: ``source_too_large``: more came than was declared; no more was read.
    """
    with begin() as session:
        upload = _upload(session, upload_id)
    _refuse_closed(upload, now)
    try:
        stored = storage.write(
            upload.storage_key, _recorded(begin, upload_id, chunks), max_bytes=upload.size_bytes
        )
    except ContentTooLarge as error:
        raise TooLarge(
            "source_too_large", f"{upload.size_bytes} bytes were declared; more came."
        ) from error
    return stored.size_bytes


def _recorded(begin: Begin, upload_id: UUID, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass chunks on and, once all have come, write their number down.

    That is before the storage makes them visible. A second sender that is still busy when the
    upload is completed fails here and replaces nothing that was checked.
    """
    received = 0
    for chunk in chunks:
        received += len(chunk)
        yield chunk
    with begin() as session:
        recorded = session.scalar(
            update(Upload)
            .where(Upload.id == upload_id, Upload.completed_at.is_(None))
            .values(received_bytes=received)
            .returning(Upload.id)
            .execution_options(synchronize_session=False)
        )
    if recorded is None:
        raise Conflict("upload_completed", "This upload has been completed.")
    crash_point(Boundary.UPLOAD_COUNTED)


def complete_upload(
    begin: Begin,
    upload_id: UUID,
    *,
    storage: Storage,
    tools: Tools,
    limits: Limits,
    now: datetime,
) -> Upload:
    """Check what has arrived, by its content; a completed upload stays as it is.

    Raises:
        NotFound: ``upload_not_found``.
        Conflict: ``upload_incomplete``: nothing came, or less than was declared;
            ``upload_expired``.
        TooLarge, Unprocessable: the code of the refusal, such as ``unsupported_media``.
    """
    with begin() as session:
        upload = _upload(session, upload_id)
    if upload.completed_at is not None:
        return upload
    _refuse_closed(upload, now)
    info = _measure(upload, storage, tools, limits)
    crash_point(Boundary.UPLOAD_CHECKED)
    with begin() as session:
        completed = session.scalars(
            update(Upload)
            .where(Upload.id == upload_id, Upload.received_bytes == info.size_bytes)
            .values(
                source_info=info.to_json(),
                completed_at=func.coalesce(Upload.completed_at, func.now()),
            )
            .returning(Upload)
            .execution_options(synchronize_session=False)
        ).one_or_none()
    if completed is None:
        raise _incomplete(upload)
    return completed


def _measure(upload: Upload, storage: Storage, tools: Tools, limits: Limits) -> SourceInfo:
    try:
        stored = storage.stat(upload.storage_key)
        path = storage.local_path(upload.storage_key)
    except ObjectMissing:
        raise _incomplete(upload) from None
    if stored.size_bytes != upload.size_bytes:
        raise _incomplete(upload)
    if path is None:
        raise NotImplementedError("a storage without files needs a sample of the source")
    try:
        info = probe(path, tools)
        check_limits(info, limits)
    except MediaRefused as error:
        raise _refusal(error) from error
    return info


def _refusal(error: MediaRefused) -> DomainError:
    kind = TooLarge if error.code is Refusal.SOURCE_TOO_LARGE else Unprocessable
    return kind(error.code.value, error.detail)


def _incomplete(upload: Upload) -> Conflict:
    return Conflict(
        "upload_incomplete",
        f"Send the {upload.size_bytes} bytes of the file first.",
        declared_bytes=upload.size_bytes,
        received_bytes=upload.received_bytes or 0,
    )


def _upload(session: Session, upload_id: UUID) -> Upload:
    upload = session.scalars(select(Upload).where(Upload.id == upload_id)).one_or_none()
    if upload is None:
        raise NotFound("upload_not_found")
    return upload


def _refuse_closed(upload: Upload, now: datetime) -> None:
    if upload.completed_at is not None:
        raise Conflict("upload_completed", "This upload has been completed.")
    if now >= upload.expires_at:
        raise _expired()


def _expired() -> Conflict:
    return Conflict("upload_expired", "This ticket has expired; ask for a new one.")


def _extension(filename: str) -> str:
    """The suffix of the name, for people who look into the storage; nothing depends on it."""
    suffix = PurePosixPath(filename).suffix.lower().removeprefix(".")
    return suffix if _EXTENSION.fullmatch(suffix) else "bin"


def _tickets(settings: Settings) -> URLSafeSerializer:
    # SHA-256 with HMAC key derivation, as pipeline.net.tokens; itsdangerous defaults to SHA-1.
    options = {"digest_method": sha256, "key_derivation": "hmac"}
    key = settings.secret_key.get_secret_value()
    return URLSafeSerializer(key, salt=_PURPOSE, signer_kwargs=options)
