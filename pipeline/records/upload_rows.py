"""What is known of an upload that is on its way, and what may still be done with it."""

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
"""Opens a transaction that sees the owner's rows and commits at its end. Uploads need several,
because none may be open while bytes arrive, the storage is asked or ffprobe runs."""


def load(session: Session, upload_id: UUID) -> Upload:
    """The upload as it is.

    Raises:
        NotFound: ``upload_not_found``.
    """
    upload = session.scalars(select(Upload).where(Upload.id == upload_id)).one_or_none()
    if upload is None:
        raise NotFound("upload_not_found")
    return upload


def load_open(session: Session, upload_id: UUID, *, now: datetime) -> Upload:
    """An upload that takes parts; it stays so until the end of the transaction.

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
    """Let nothing be done with a ticket of yesterday.

    Raises:
        Conflict: ``upload_expired``.
    """
    if now >= upload.expires_at:
        raise ticket_expired()


def plan_of(upload: Upload) -> PartPlan:
    """The parts of an upload; a small file is one part."""
    return PartPlan(upload.size_bytes, upload.part_size_bytes or upload.size_bytes)


def multipart_of(upload: Upload) -> Multipart | None:
    """What the storage knows of it, where it has been told."""
    if upload.storage_upload_id is None:
        return None
    return Multipart(upload.storage_key, upload.storage_upload_id)


def arrived_parts(session: Session, upload_id: UUID) -> list[Part]:
    """The parts that have arrived, by number."""
    rows = session.scalars(
        select(UploadPart).where(UploadPart.upload_id == upload_id).order_by(UploadPart.number)
    )
    return [Part(row.number, row.size_bytes, row.etag) for row in rows]


def record_part(session: Session, upload_id: UUID, part: Part) -> None:
    """Write down that a part has arrived, maybe in the place of an earlier one."""
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
    """Count parts as not arrived."""
    kept = [(part.number, part.etag) for part in but]
    session.execute(
        delete(UploadPart).where(
            UploadPart.upload_id == upload_id,
            tuple_(UploadPart.number, UploadPart.etag).not_in(kept),
        )
    )


def name_multipart(session: Session, upload_id: UUID, started: Multipart) -> str | None:
    """Note under which name the storage takes the parts, unless somebody was first.

    Returns:
        The name that counts; None if there is no such upload any more.
    """
    session.execute(
        update(Upload)
        .where(Upload.id == upload_id, Upload.storage_upload_id.is_(None))
        .values(storage_upload_id=started.id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(select(Upload.storage_upload_id).where(Upload.id == upload_id))


def forget_multipart(session: Session, upload_id: UUID, gone: Multipart) -> None:
    """Let the next part begin anew: the storage has given the parts up."""
    session.execute(
        update(Upload)
        .where(Upload.id == upload_id, Upload.storage_upload_id == gone.id)
        .values(storage_upload_id=None)
        .execution_options(synchronize_session=False)
    )


def already_completed() -> Conflict:
    """All of it has arrived; nothing more is taken."""
    return Conflict("upload_completed", "This upload has all of its content and takes no more.")


def ticket_expired() -> Conflict:
    """The ticket is one of yesterday."""
    return Conflict("upload_expired", "This ticket has expired; ask for a new one.")


def incomplete(upload: Upload, parts: Sequence[Part]) -> Conflict:
    """Something is missing; the answer says how much has come."""
    return Conflict(
        "upload_incomplete",
        f"Send the {upload.size_bytes} bytes of the file first.",
        declared_bytes=upload.size_bytes,
        received_bytes=sum(part.size_bytes for part in parts),
        missing_parts=plan_of(upload).count - len(parts),
    )
