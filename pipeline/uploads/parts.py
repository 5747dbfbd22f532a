"""Parts of an upload: received by us, or sent to the storage by the client.

Rows record the parts that have arrived. A row is written after its part is stored, so that a
failure costs at most a second sending. The completion of the upload checks the rows against the
storage.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import md5, sha256
from uuid import UUID

from pipeline.domain.errors import Conflict, DomainError, NotFound, TooLarge, Unprocessable
from pipeline.domain.part_plan import PartPlan
from pipeline.records import upload_rows
from pipeline.records.models import Upload
from pipeline.records.upload_rows import Begin
from pipeline.storage.base import ContentTooLarge, PartsRefused, Storage, bounded
from pipeline.storage.multipart import Multipart, Part, SignedRequest

REQUEST_LIVES = timedelta(hours=1)
"""Life of a direct request: 8 MiB at 20 kbit/s. A client may ask for another one."""


@dataclass(frozen=True)
class Digests:
    """Digests that the sender gives for its content; None for a digest not given."""

    sha256: bytes | None = None
    md5: bytes | None = None


@dataclass(frozen=True)
class PartRequest:
    """The request by which a client sends one part.

    Attributes:
        direct: The request to the storage; None if the part is sent to us.
    """

    number: int
    size_bytes: int
    direct: SignedRequest | None


@dataclass(frozen=True)
class Progress:
    """An upload and its arrived parts.

    Attributes:
        parts: The parts that have arrived, by number.
    """

    upload: Upload
    plan: PartPlan
    parts: list[Part]


def progress_of(begin: Begin, upload_id: UUID) -> Progress:
    """Return the arrived parts of an upload, for a client to resume.

    Raises:
        NotFound: ``upload_not_found``.
    """
    with begin() as session:
        upload = upload_rows.load(session, upload_id)
        return Progress(
            upload, upload_rows.plan_of(upload), upload_rows.arrived_parts(session, upload_id)
        )


def request_parts(
    begin: Begin,
    upload_id: UUID,
    numbers: Iterable[int],
    md5s: Mapping[int, str],
    *,
    storage: Storage,
    now: datetime,
) -> tuple[list[PartRequest], datetime]:
    """Return the requests by which parts are sent, and their expiry.

    Args:
        numbers: Numbers of the parts.
        md5s: Digests of some parts, in base64; the storage refuses other content.

    Raises:
        NotFound: ``upload_not_found``, ``part_not_found``.
        Conflict: ``upload_completed``, ``upload_expired``.
    """
    upload = _open(begin, upload_id, now)
    plan = upload_rows.plan_of(upload)
    until = min(now + REQUEST_LIVES, upload.expires_at)
    wanted = [_existing(plan, number) for number in numbers]
    multipart = _multipart(begin, upload, storage)
    requests = [
        PartRequest(
            number,
            plan.size_of(number),
            storage.presign_part(
                multipart,
                number,
                size_bytes=plan.size_of(number),
                md5=md5s.get(number),
                expires_sec=max(1, int((until - now).total_seconds())),
            ),
        )
        for number in wanted
    ]
    return requests, until


def receive_part(
    begin: Begin,
    upload_id: UUID,
    number: int,
    chunks: Iterable[bytes],
    *,
    digests: Digests,
    storage: Storage,
    now: datetime,
) -> Part:
    """Store a part while it arrives; safe to repeat until the upload is completed.

    Args:
        number: Number of the part, from 1.
        chunks: Content of the part. An exception of it, such as a lost connection, passes through
            and leaves nothing behind.
        digests: Digests that the sender gives.

    Raises:
        NotFound: ``upload_not_found``, ``part_not_found``.
        Conflict: ``upload_completed``, ``upload_expired``.
        TooLarge: ``part_too_large``, or ``source_too_large`` for a file in one part: more bytes
            arrive than declared.
        Unprocessable: ``part_too_short``, ``checksum_mismatch``. Nothing of the part is kept.
    """
    upload = _open(begin, upload_id, now)
    plan = upload_rows.plan_of(upload)
    size_bytes = plan.size_of(_existing(plan, number))
    multipart = _multipart(begin, upload, storage)
    try:
        part = storage.put_part(
            multipart, number, plan.offset_of(number), _checked(chunks, size_bytes, digests)
        )
    except ContentTooLarge:
        code = "source_too_large" if plan.count == 1 else "part_too_large"
        raise TooLarge(code, f"{size_bytes} bytes were declared; more arrived.") from None
    except PartsRefused:
        raise _ended(begin, upload_id, now) from None
    _record(begin, upload_id, part, now)
    return part


def receive_whole(
    begin: Begin,
    upload_id: UUID,
    chunks: Iterable[bytes],
    *,
    digests: Digests,
    storage: Storage,
    now: datetime,
) -> int:
    """Store the content of a small file, which is its only part; return the bytes received.

    Raises:
        Conflict: ``upload_in_parts``: this file is too large for one part. For the other errors
            see ``receive_part``.
    """
    if upload_rows.plan_of(_open(begin, upload_id, now)).count > 1:
        raise Conflict("upload_in_parts", "This file is sent in parts: see the ticket's `parts`.")
    part = receive_part(begin, upload_id, 1, chunks, digests=digests, storage=storage, now=now)
    return part.size_bytes


def confirm_part(
    begin: Begin,
    upload_id: UUID,
    number: int,
    etag: str | None,
    *,
    storage: Storage,
    now: datetime,
) -> Part:
    """Record a part that the client says it has sent to the storage; idempotent.

    The completion of the upload checks the record. A part that was sent to us is recorded already.

    Args:
        number: Number of the part, from 1.
        etag: ETag of the storage's answer, unquoted; None if the storage's CORS rule hides it from
            the page. The storage is then asked for the part.

    Raises:
        NotFound: ``upload_not_found``, ``part_not_found``.
        Conflict: ``upload_completed``, ``upload_expired``; without an ETag ``part_missing``.
        Unprocessable: ``etag_hidden``: there is no ETag, and the storage cannot list parts.
    """
    upload = _open(begin, upload_id, now)
    plan = upload_rows.plan_of(upload)
    size_bytes = plan.size_of(_existing(plan, number))
    if etag is None:
        part = _stored(begin, upload, Part(number, size_bytes, ""), storage, now)
    else:
        part = Part(number, size_bytes, etag)
    _record(begin, upload_id, part, now)
    return part


def _stored(begin: Begin, upload: Upload, wanted: Part, storage: Storage, now: datetime) -> Part:
    """Return the part as the storage lists it."""
    multipart = upload_rows.multipart_of(upload)
    try:
        listed = storage.list_parts(multipart, only=wanted.number) if multipart else []
    except PartsRefused:
        raise _ended(begin, upload.id, now) from None
    if listed is None:
        raise Unprocessable(
            "etag_hidden",
            "The storage hides the ETag from pages and lists no parts: its CORS rule must expose "
            "ETag.",
        )
    for part in listed:
        if part.size_bytes == wanted.size_bytes:
            return part
    raise Conflict("part_missing", "This part has not arrived: send it again.")


def _open(begin: Begin, upload_id: UUID, now: datetime) -> Upload:
    with begin() as session:
        return upload_rows.load_open(session, upload_id, now=now)


def _existing(plan: PartPlan, number: int) -> int:
    if not plan.has(number):
        raise NotFound("part_not_found", f"The parts of this upload are 1 to {plan.count}.")
    return number


def _multipart(begin: Begin, upload: Upload, storage: Storage) -> Multipart:
    """Return the storage's multipart upload; start it for the first part."""
    known = upload_rows.multipart_of(upload)
    if known is not None:
        return known
    started = storage.start_multipart(upload.storage_key)
    with begin() as session:
        name = upload_rows.name_multipart(session, upload.id, started)
    if name != started.id:  # another part has started one
        storage.abort_multipart(started)
    if name is None:
        raise NotFound("upload_not_found")
    return Multipart(upload.storage_key, name)


def _record(begin: Begin, upload_id: UUID, part: Part, now: datetime) -> None:
    with begin() as session:
        upload_rows.load_open(session, upload_id, now=now)
        upload_rows.record_part(session, upload_id, part)


def _ended(begin: Begin, upload_id: UUID, now: datetime) -> DomainError:
    """Return the reason for which the storage accepts no more parts."""
    try:
        _open(begin, upload_id, now)
    except DomainError as error:
        return error
    return upload_rows.already_completed()


def _checked(chunks: Iterable[bytes], size_bytes: int, digests: Digests) -> Iterator[bytes]:
    """Yield the chunks of a part; refuse a wrong part before the storage keeps it."""
    sha, md = sha256(), md5(usedforsecurity=False)
    received = 0
    for chunk in bounded(chunks, size_bytes):
        received += len(chunk)
        if digests.sha256:
            sha.update(chunk)
        if digests.md5:
            md.update(chunk)
        yield chunk
    if received < size_bytes:
        raise Unprocessable(
            "part_too_short", f"This part has {size_bytes} bytes; {received} arrived."
        )
    if digests.sha256 not in (None, sha.digest()) or digests.md5 not in (None, md.digest()):
        raise Unprocessable(
            "checksum_mismatch", "The content differs from its checksum: send it again."
        )
