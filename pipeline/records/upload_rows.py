"""Rows of uploads and of their parts: reads and guarded writes."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from pipeline.domain.errors import Conflict, NotFound
from pipeline.domain.part_plan import PartPlan
from pipeline.records.models import Upload, UploadPart
from pipeline.storage.multipart import Multipart, Part

Begin = Callable[[], AbstractContextManager[Session]]
"""Opens a transaction that sees the owner's rows and commits at its end. An upload needs several
transactions: none may be open while bytes arrive, the storage is called or ffprobe runs."""


def load(session: Session, upload_id: UUID) -> Upload:
    """Return the upload.

    Raises:
        NotFound: ``upload_not_found``.
    """
    upload = session.scalars(select(Upload).where(Upload.id == upload_id)).one_or_none()
    if upload is None:
        raise NotFound("upload_not_found")
    return upload


def load_open(session: Session, upload_id: UUID, *, now: datetime) -> Upload:
    """Return an upload that accepts parts, and keep it open until the end of the transaction.

    Raises:
        NotFound: ``upload_not_found``.
        Conflict: ``upload_completed``, ``upload_expired``.
    """
    upload = session.scalars(
        select(Upload).where(Upload.id == upload_id).with_for_update(read=True)
    ).one_or_none()
    if upload is None:
        raise NotFound("upload_not_found")
    if upload.received_bytes is not None:
        raise already_completed()
    refuse_expired(upload, now=now)
    return upload


def refuse_expired(upload: Upload, *, now: datetime) -> None:
    """Refuse an upload whose ticket has expired.

    Raises:
        Conflict: ``upload_expired``.
    """
    if now >= upload.expires_at:
        raise ticket_expired()


def plan_of(upload: Upload) -> PartPlan:
    """Return the plan of an upload's parts; a small file is one part."""
    return PartPlan(upload.size_bytes, upload.part_size_bytes or upload.size_bytes)


def multipart_of(upload: Upload) -> Multipart | None:
    """Return the storage's multipart upload; None if it has not been started."""
    if upload.storage_upload_id is None:
        return None
    return Multipart(upload.storage_key, upload.storage_upload_id)


def arrived_parts(session: Session, upload_id: UUID) -> list[Part]:
    """Return the parts that have arrived, by number."""
    rows = session.scalars(
        select(UploadPart).where(UploadPart.upload_id == upload_id).order_by(UploadPart.number)
    )
    return [Part(row.number, row.size_bytes, row.etag) for row in rows]


def record_part(session: Session, upload_id: UUID, part: Part) -> None:
    """Record that a part has arrived; it replaces an earlier part of the same number."""
    arriving = insert(UploadPart).values(
        upload_id=upload_id, number=part.number, size_bytes=part.size_bytes, etag=part.etag
    )
    session.execute(
        arriving.on_conflict_do_update(
            index_elements=[UploadPart.upload_id, UploadPart.number],
            set_={
                "size_bytes": part.size_bytes,
                "etag": part.etag,
                "received_at": func.now(),
            },
        )
    )


def forget_parts(session: Session, upload_id: UUID, *, but: Iterable[Part]) -> None:
    """Delete the rows of all other parts, so that they count as missing."""
    kept = [(part.number, part.etag) for part in but]
    session.execute(
        delete(UploadPart).where(
            UploadPart.upload_id == upload_id,
            tuple_(UploadPart.number, UploadPart.etag).not_in(kept),
        )
    )


def name_multipart(session: Session, upload_id: UUID, started: Multipart) -> str | None:
    """Record the storage's name of the multipart upload, unless a name is recorded already.

    Returns:
        The recorded name; None if the upload no longer exists.
    """
    session.execute(
        update(Upload)
        .where(Upload.id == upload_id, Upload.storage_upload_id.is_(None))
        .values(storage_upload_id=started.id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(select(Upload.storage_upload_id).where(Upload.id == upload_id))


def forget_multipart(session: Session, upload_id: UUID, gone: Multipart) -> None:
    """Delete the storage's name, so that the next part begins a new multipart upload."""
    session.execute(
        update(Upload)
        .where(Upload.id == upload_id, Upload.storage_upload_id == gone.id)
        .values(storage_upload_id=None)
        .execution_options(synchronize_session=False)
    )


def already_completed() -> Conflict:
    """Return the refusal of content for an upload that is complete."""
    return Conflict("upload_completed", "This upload has all of its content and takes no more.")


def ticket_expired() -> Conflict:
    """Return the refusal of an expired ticket."""
    return Conflict("upload_expired", "This ticket has expired; ask for a new one.")


def incomplete(upload: Upload, parts: Sequence[Part]) -> Conflict:
    """Return the refusal to complete an upload with missing parts, with both byte counts."""
    return Conflict(
        "upload_incomplete",
        f"Send the {upload.size_bytes} bytes of the file first.",
        declared_bytes=upload.size_bytes,
        received_bytes=sum(part.size_bytes for part in parts),
        missing_parts=plan_of(upload).count - len(parts),
    )
