"""The claim of the check of an upload: one check at a time, over all processes.

A check assembles the parts and runs ffprobe, for seconds and a core. Its claim is an instant in the
row, so that no transaction is open meanwhile. The process that checks puts the instant off while it
lives; the claim of one that died ends within seconds.
The refusal of a check is kept, so that a file that fails is measured once.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta
from threading import Event, Thread
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from pipeline.domain.errors import (
    Busy,
    Conflict,
    DomainError,
    LimitReached,
    TooLarge,
    Unprocessable,
)
from pipeline.records import upload_rows
from pipeline.records.models import Upload
from pipeline.records.upload_rows import Begin

CLAIM_LIVES = timedelta(seconds=15)
"""About what a client waits for a check whose process died."""
RENEWED_EVERY_SEC = 5.0
"""A third of it, so that one renewal may fail."""
MOST_OF_OWNER = 2
"""Checks of one owner at once, over all processes: a page completes one file after the other."""
RETRY_AFTER_SEC = 2
"""About the time that a check takes."""
_LONGEST_PAUSE_SEC = 60
_log = logging.getLogger(__name__)
_KINDS = {"TooLarge": TooLarge, "Unprocessable": Unprocessable}


@contextmanager
def check_claimed(begin: Begin, upload_id: UUID) -> Iterator[Upload]:
    """Claim the check of an upload for the block; keep the refusal that the block ends with.

    A block that ends well has completed the upload, which ends the claim.

    After any other failure, such as a storage that is away, the next check waits: twice as long
    after each check, up to a minute.

    Raises:
        Busy: ``upload_in_check``: another request has the claim, or the pause is not over.
        LimitReached: ``too_many_checks``: the owner has as many claims as may be.
        TooLarge, Unprocessable: The refusal that an earlier check ended with.
    """
    with begin() as session:
        upload = _claim(session, upload_id)
    if upload.completed_at is not None:
        yield upload
        return
    claim = _Claim(begin, upload)
    try:
        with claim.renewed():
            yield upload
    except (TooLarge, Unprocessable) as error:
        claim.end(refusal=_written(error))
        raise
    except Conflict:
        claim.end()
        raise
    except Exception:
        claim.end(pause_sec=min(2**upload.checks, _LONGEST_PAUSE_SEC))
        raise


def refuse_again(upload: Upload) -> None:
    """Raise the refusal that an earlier check ended with, if there is one."""
    if upload.refusal is not None:
        kind = _KINDS[upload.refusal["kind"]]
        raise kind(upload.refusal["code"], upload.refusal["message"])


def _claim(session: Session, upload_id: UUID) -> Upload:
    upload = session.scalars(
        select(Upload).where(Upload.id == upload_id).with_for_update()
    ).one_or_none()
    if upload is None:
        return upload_rows.load(session, upload_id)
    refuse_again(upload)
    if upload.completed_at is not None:
        return upload
    now = session.scalars(select(func.clock_timestamp())).one()
    if upload.checking_until is not None and upload.checking_until > now:
        raise Busy(
            "upload_in_check",
            "This upload is being checked; ask again for the result.",
            retry_after_sec=RETRY_AFTER_SEC,
        )
    _refuse_more_of(session, upload.owner_id)
    upload.checking_until = now + CLAIM_LIVES
    upload.checks = min(upload.checks + 1, 30)
    session.flush()
    session.expunge(upload)
    return upload


def _refuse_more_of(session: Session, owner_id: str) -> None:
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('checks of ' || :owner, 0))"),
        {"owner": owner_id},
    )
    claimed = session.scalars(
        select(func.count())
        .select_from(Upload)
        .where(
            Upload.owner_id == owner_id,
            Upload.completed_at.is_(None),
            Upload.refusal.is_(None),
            Upload.checking_until > func.clock_timestamp(),
        )
    ).one()
    if claimed >= MOST_OF_OWNER:
        raise LimitReached(
            "too_many_checks",
            f"At most {MOST_OF_OWNER} uploads of an owner are checked at once.",
            retry_after_sec=RETRY_AFTER_SEC,
        )


def _written(error: DomainError) -> dict[str, str]:
    return {"kind": type(error).__name__, "code": error.code, "message": str(error)}


class _Claim:
    """The claim that one request has, until it lapses and another request has the check."""

    def __init__(self, begin: Begin, upload: Upload) -> None:
        self._begin = begin
        self._upload_id = upload.id
        self._until = upload.checking_until

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Put the end of the claim off during the block."""
        ended = Event()
        # A copy of the context: the caller's rights are found in it.
        thread = Thread(target=copy_context().run, args=(self._renew_until, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def end(self, *, refusal: dict[str, str] | None = None, pause_sec: int | None = None) -> None:
        """End the claim; the next check waits for the pause, if there is one."""
        until = None if pause_sec is None else func.clock_timestamp() + timedelta(seconds=pause_sec)
        self._write(checking_until=until, **({} if refusal is None else {"refusal": refusal}))

    def _renew_until(self, ended: Event) -> None:
        while not ended.wait(RENEWED_EVERY_SEC):
            try:
                self._write(checking_until=func.clock_timestamp() + CLAIM_LIVES)
            except SQLAlchemyError:  # the next renewal may do; at worst two requests check
                _log.warning("the claim of a check was not renewed", exc_info=True)

    def _write(self, **changes: object) -> None:
        with self._begin() as session:
            self._until = session.scalars(
                update(Upload)
                .where(Upload.id == self._upload_id, Upload.checking_until == self._until)
                .values(changes)
                .returning(Upload.checking_until)
                .execution_options(synchronize_session=False)
            ).one_or_none()
