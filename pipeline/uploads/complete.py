"""End of an upload: complete or abandon it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from pipeline.content.stored_source import probeable
from pipeline.domain.errors import DomainError, TooLarge, Unprocessable
from pipeline.media.probe import probe
from pipeline.media.source_info import SourceInfo
from pipeline.media.source_limits import OF_TOOLS, Limits, MediaRefused, Refusal, check_limits
from pipeline.media.tool_proof import ToolsUnfit, prove_tools
from pipeline.media.tools import Tools
from pipeline.records import upload_rows
from pipeline.records.models import Upload
from pipeline.records.upload_rows import Begin
from pipeline.storage.base import ObjectMissing, PartsRefused, Storage
from pipeline.storage.multipart import Multipart, Part
from pipeline.uploads.check_claim import check_claimed, refuse_again


def complete_upload(
    begin: Begin,
    upload_id: UUID,
    *,
    storage: Storage,
    tools: Tools,
    limits: Limits,
    now: datetime,
    record: Callable[[Session, Upload], None] = lambda _session, _upload: None,
) -> Upload:
    """Make one object of the parts and check its content; safe to repeat, also concurrently.

    A part that arrives later no longer changes the object. A refusal is therefore final: the same
    upload is refused again, without another look at it.

    Args:
        record: Called in the transaction that completes the upload.

    Raises:
        NotFound: ``upload_not_found``.
        Conflict: ``upload_incomplete`` (a part is missing), ``upload_expired``.
        Busy: ``upload_in_check``: another request checks it.
        LimitReached: ``too_many_checks``: of this owner at once.
        TooLarge, Unprocessable: the code of the refusal, such as ``unsupported_media``.
    """
    with begin() as session:
        upload = upload_rows.load(session, upload_id)
        parts = upload_rows.arrived_parts(session, upload_id)
    if upload.completed_at is not None:
        return upload
    refuse_again(upload)
    upload_rows.refuse_expired(upload, now=now)
    with check_claimed(begin, upload_id) as claimed:
        if claimed.completed_at is not None:
            return claimed
        if claimed.received_bytes is None:
            _assemble(begin, claimed, parts, storage)
        info = _measure(claimed, storage, tools, limits)
        return _record(begin, upload_id, info, record)


def _record(
    begin: Begin, upload_id: UUID, info: SourceInfo, record: Callable[[Session, Upload], None]
) -> Upload:
    with begin() as session:
        completed = session.scalars(
            update(Upload)
            # now() is the start of this transaction; the upload may have been abandoned since.
            .where(Upload.id == upload_id, Upload.expires_at > func.clock_timestamp())
            .values(
                source_info=info.to_json(),
                completed_at=func.coalesce(Upload.completed_at, func.now()),
            )
            .returning(Upload)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if completed is not None:
            record(session, completed)
    if completed is None:  # abandoned or expired during the check
        raise upload_rows.ticket_expired()
    return completed


def abandon_upload(begin: Begin, upload_id: UUID, *, storage: Storage) -> None:
    """Expire an upload and remove its content; safe to repeat.

    Raises:
        NotFound: ``upload_not_found``.
        Conflict: ``upload_completed``; it may be a video by now, and a video has its own delete.
    """
    with begin() as session:
        upload = session.scalars(
            update(Upload)
            .where(Upload.id == upload_id, Upload.completed_at.is_(None))
            .values(expires_at=func.least(Upload.expires_at, func.clock_timestamp()))
            .returning(Upload)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if upload is None:
            upload_rows.load(session, upload_id)
            raise upload_rows.already_completed()
    discard(storage, upload)


def discard(storage: Storage, upload: Upload) -> int:
    """Remove the stored content of an upload, whole or in parts; return the bytes reclaimed."""
    size_bytes = held_bytes(storage, upload)
    multipart = upload_rows.multipart_of(upload)
    if multipart is not None:
        storage.abort_multipart(multipart)
    storage.delete_prefix(folder_of(upload))
    return size_bytes


def held_bytes(storage: Storage, upload: Upload) -> int:
    """Return the bytes that the storage holds of an upload, without parts that it cannot list."""
    objects = sum(stat.size_bytes for stat in storage.list(folder_of(upload)))
    multipart = upload_rows.multipart_of(upload)
    if multipart is None:
        return objects
    return objects + sum(part.size_bytes for part in _stored_parts(storage, multipart))


def folder_of(upload: Upload) -> str:
    """Return the prefix of this upload's objects, which holds no others."""
    return upload.storage_key.rpartition("/")[0]


def _assemble(begin: Begin, upload: Upload, parts: Sequence[Part], storage: Storage) -> None:
    multipart = upload_rows.multipart_of(upload)
    plan = upload_rows.plan_of(upload)
    is_whole = [(part.number, part.size_bytes) for part in parts] == [
        (number, plan.size_of(number)) for number in range(1, plan.count + 1)
    ]
    if multipart is None or not is_whole:
        raise upload_rows.incomplete(upload, parts)
    try:
        storage.complete_multipart(multipart, parts)
    except PartsRefused:
        raise upload_rows.incomplete(upload, _correct(begin, upload, multipart, storage)) from None
    with begin() as session:
        session.execute(
            update(Upload)
            .where(Upload.id == upload.id)
            .values(received_bytes=upload.size_bytes)
            .execution_options(synchronize_session=False)
        )


def _correct(
    begin: Begin, upload: Upload, multipart: Multipart, storage: Storage
) -> Sequence[Part]:
    """Delete the rows of parts that the storage lacks, or of all parts if it lists none."""
    is_gone = False
    try:
        stored = storage.list_parts(multipart) or ()
    except PartsRefused:  # the storage has ended the whole upload
        stored, is_gone = (), True
    with begin() as session:
        upload_rows.forget_parts(session, upload.id, but=stored)
        if is_gone:
            upload_rows.forget_multipart(session, upload.id, multipart)
        return upload_rows.arrived_parts(session, upload.id)


def _stored_parts(storage: Storage, multipart: Multipart) -> Sequence[Part]:
    try:
        return storage.list_parts(multipart) or ()
    except PartsRefused:
        return ()


def _measure(upload: Upload, storage: Storage, tools: Tools, limits: Limits) -> SourceInfo:
    try:
        size_bytes = storage.stat(upload.storage_key).size_bytes
        if size_bytes != upload.size_bytes:  # a storage that does not enforce the size of parts
            raise Unprocessable(
                "source_size_mismatch",
                f"{upload.size_bytes} bytes were declared; {size_bytes} arrived.",
            )
        with probeable(storage, upload.storage_key) as path:
            info = probe(path, tools)
        check_limits(info, limits)
    except ObjectMissing:
        raise upload_rows.ticket_expired() from None  # abandoned during the check
    except MediaRefused as error:
        if error.code in OF_TOOLS:
            _require_fit_host(tools)
        raise _refusal(error) from error
    return info


def _require_fit_host(tools: Tools) -> None:
    """Blame no file that this machine could not read because of its own programs.

    Raises:
        OSError: They do not work. The upload is kept, and another try may reach another machine.
    """
    try:
        prove_tools(tools)
    except ToolsUnfit as unfit:
        raise OSError(f"this machine cannot check an upload: {unfit}") from unfit


def _refusal(error: MediaRefused) -> DomainError:
    kind = TooLarge if error.code is Refusal.SOURCE_TOO_LARGE else Unprocessable
    return kind(error.code.value, error.detail)
