"""Take the parts of an upload in, or let the client bring them to the storage itself.

What has arrived is what our rows say. They are written once a part is stored, so that a part is at
worst sent twice; whether they are true is found out when the upload is completed.
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
from pipeline.runtime.crash import Boundary, crash_point
from pipeline.storage.base import ContentTooLarge, PartsRefused, Storage, bounded
from pipeline.storage.multipart import Multipart, Part, SignedRequest

REQUEST_LIVES = timedelta(hours=1)
"""How long a part may be sent directly: 8 MiB at 20 kbit/s, and a client may ask again."""


@dataclass(frozen=True)
class Digests:
    """What the sender says of its content; None where it says nothing."""

    sha256: bytes | None = None
    md5: bytes | None = None


@dataclass(frozen=True)
class PartRequest:
    """How one part is sent.

    Attributes:
        direct: The request to the storage; None where the part comes to us.
    """

    number: int
    size_bytes: int
    direct: SignedRequest | None


@dataclass(frozen=True)
class Progress:
    """How far an upload is.

    Attributes:
        parts: Those that have arrived, by number.
    """

    upload: Upload
    plan: PartPlan
    parts: list[Part]


def progress_of(begin: Begin, upload_id: UUID) -> Progress:
    """See what has arrived, to go on from there.

    Raises:
        NotFound: ``upload_not_found``.
    """
    with begin() as session:
        upload = upload_rows.load(session, upload_id)
        return Progress(
            upload, upload_rows.plan_of(upload), upload_rows.arrived(session, upload_id)
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
    """Say how parts are sent, and until when they may be.

    Args:
        begin: Opens transactions.
        upload_id: Of which upload.
        numbers: Of which parts.
        md5s: Digests of some of them, in base64; the storage refuses other content.
        storage: Where the upload goes.
        now: The present.

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
    """Store a part as it arrives; safe to repeat until the upload is completed.

    Args:
        begin: Opens transactions.
        upload_id: Of which upload.
        number: Of the part, from 1.
        chunks: Its content. What it raises, such as a lost connection, passes through, and leaves
            nothing behind.
        digests: What its sender says it is.
        storage: Where to.
        now: The present.

    Raises:
        NotFound: ``upload_not_found``, ``part_not_found``.
        Conflict: ``upload_completed``, ``upload_expired``.
        TooLarge: ``part_too_large``, of a file in one part ``source_too_large``: it went on past
            its size, and was cut off.
        Unprocessable: ``part_too_short``, ``checksum_mismatch``. Nothing of it is kept.
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
        raise TooLarge(code, f"{size_bytes} bytes were declared; more came.") from None
    except PartsRefused:
        raise _ended(begin, upload_id, now) from None
    crash_point(Boundary.UPLOAD_STORED)
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
    """Store the content of a small file, which is its one part; the bytes received.

    Raises:
        Conflict: ``upload_in_parts``: this file is too large for that; else as ``receive_part``.
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
    """Believe that a part was sent to the storage, for now: it is the storage that knows.

    Idempotent. Where the part came to us, this says what is known already.

    Args:
        begin: Opens transactions.
        upload_id: Of which upload.
        number: Of the part, from 1.
        etag: Of the storage's answer, unquoted; None where its CORS rule does not let a page see
            it. Then the storage is asked.
        storage: Where it was sent.
        now: The present.

    Raises:
        NotFound: ``upload_not_found``, ``part_not_found``.
        Conflict: ``upload_completed``, ``upload_expired``; without an ETag ``part_missing``.
        Unprocessable: ``etag_hidden``: without an ETag, where the storage lists no parts.
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
    """The part as the storage has it."""
    multipart = upload_rows.multipart_of(upload)
    try:
        listed = storage.list_parts(multipart, only=wanted.number) if multipart else []
    except PartsRefused:
        raise _ended(begin, upload.id, now) from None
    if listed is None:
        raise Unprocessable(
            "etag_hidden",
            "The storage shows pages no ETag and lists no parts: its CORS rule has to expose ETag.",
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
    """What the storage is told of the upload, begun with its first part."""
    known = upload_rows.multipart_of(upload)
    if known is not None:
        return known
    started = storage.start_multipart(upload.storage_key)
    crash_point(Boundary.UPLOAD_OPENED)
    with begin() as session:
        name = upload_rows.name_multipart(session, upload.id, started)
    if name != started.id:  # another part was first
        storage.abort_multipart(started)
    if name is None:
        raise NotFound("upload_not_found")
    return Multipart(upload.storage_key, name)


def _record(begin: Begin, upload_id: UUID, part: Part, now: datetime) -> None:
    with begin() as session:
        upload_rows.load_open(session, upload_id, now=now)
        upload_rows.record_part(session, upload_id, part)


def _ended(begin: Begin, upload_id: UUID, now: datetime) -> DomainError:
    """Why the storage takes no more parts."""
    try:
        _open(begin, upload_id, now)
    except DomainError as error:
        return error
    return upload_rows.completed()


def _checked(chunks: Iterable[bytes], size_bytes: int, digests: Digests) -> Iterator[bytes]:
    """Pass a part on and refuse it while it arrives, before the storage keeps it."""
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
        raise Unprocessable("part_too_short", f"This part has {size_bytes} bytes; {received} came.")
    if digests.sha256 not in (None, sha.digest()) or digests.md5 not in (None, md.digest()):
        raise Unprocessable(
            "checksum_mismatch", "What arrived is not what was sent: send it again."
        )
