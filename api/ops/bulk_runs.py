"""A retry of many: what was previewed, and how far it has come. It travels, signed, with the page.

Nothing is kept here: a run that is left alone simply ends there, and what it has done is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from itsdangerous import BadData
from sqlalchemy.orm import Session

from api.access.audit import audit_operator
from api.access.caller import caller
from api.http.problems import Problem
from api.wiring.services import services
from pipeline.lifecycle.bulk_retry import BATCH, retry_batch
from pipeline.operations import console_failed
from pipeline.records.models import Asset
from pipeline.records.queries import PageCursor
from pipeline.runtime.database import session_of
from pipeline.runtime.signed_tokens import read_token, sign_token

BATCHES_OF_A_REQUEST = 5
"""A request takes a second or two at worst; the page asks for the next by itself."""

_PURPOSE = "khronika.bulk-retry.v1"


@dataclass(frozen=True)
class Run:
    """One bulk retry.

    Attributes:
        id: What the audit calls it.
        wanted: Which videos; bounded by the instant of the preview, so that none comes up twice.
        chosen: These alone; None for all that match.
        matched: How many the preview showed.
        before: Where the next batch begins.
    """

    id: UUID
    wanted: console_failed.FailedFilter
    chosen: tuple[UUID, ...] | None
    matched: int
    retried: int = 0
    skipped: int = 0
    before: PageCursor | None = None
    is_done: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether a batch was done."""
        return self.is_done or self.before is not None

    @property
    def gone(self) -> int:
        """Those of the preview that had left the list before their turn came."""
        counted = min(self.matched, console_failed.COUNTED)
        return max(counted - self.retried - self.skipped, 0) if self.is_done else 0


def preview(
    wanted: console_failed.FailedFilter, chosen: Sequence[UUID] | None, matched: int
) -> Run:
    """A run that has not begun."""
    return Run(uuid4(), wanted, None if chosen is None else tuple(chosen), matched)


def advance(run: Run) -> Run:
    """Do the next few batches. Safe to do twice: who is not failed any more is skipped."""
    if not run.has_begun:
        with session_of(services().engines.operator) as session:
            audit_operator(session, "bulk_retry", **_described(run))
    for _ in range(BATCHES_OF_A_REQUEST):
        if not run.is_done:
            run = _batch(run)
    return run


def _described(run: Run) -> dict[str, str]:
    said = {
        "code": run.wanted.code,
        "provider": run.wanted.provider,
        "since": run.wanted.since and run.wanted.since.isoformat(),
        "until": run.wanted.until and run.wanted.until.isoformat(),
        "chosen": run.chosen and str(len(run.chosen)),
    }
    named = {name: given for name, given in said.items() if given}
    return {"run": str(run.id), "matched": str(run.matched), **named}


def _batch(run: Run) -> Run:
    here = services()
    with session_of(here.engines.operator) as session:
        found = _next(session, run)
        # Taken now: a retry changes when its row was last changed.
        last = PageCursor(found[-1].updated_at, found[-1].id) if found else run.before
        done = retry_batch(
            session,
            found,
            retry=here.settings.retry,
            owner_limits=here.settings.owner_limits,
            actor=caller().actor,
        )
        for asset in done.retried:
            audit_operator(session, "retry", post_id=asset.post_id, asset_id=asset.id, run=run.id)
    here.publisher.publish(done.wakes)
    return replace(
        run,
        retried=run.retried + len(done.retried),
        skipped=run.skipped + len(done.skipped),
        before=last,
        is_done=run.chosen is not None or len(found) < BATCH,
    )


def _next(session: Session, run: Run) -> Sequence[Asset]:
    if run.chosen is not None:
        return console_failed.still_failed(session, run.chosen)
    return console_failed.page(session, run.wanted, before=run.before, limit=BATCH)


def sign(run: Run) -> str:
    """The run as a word of a form or an address."""
    wanted = run.wanted
    payload = [
        run.id.hex,
        [wanted.code, wanted.provider, _text(wanted.since), _text(wanted.until)],
        None if run.chosen is None else [each.hex for each in run.chosen],
        [run.matched, run.retried, run.skipped, run.is_done],
        None if run.before is None else [_text(run.before.updated_at), run.before.id.hex],
    ]
    return sign_token(services().settings.media_urls.key, payload, purpose=_PURPOSE)


def read(signed: str | None) -> Run:
    """The run that a page of ours signed.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    key = services().settings.media_urls.key
    try:
        run_id, wanted, chosen, counts, before = read_token(key, signed or "", purpose=_PURPOSE)
    except BadData:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "validation_failed", "This is no retry that was begun."
        ) from None
    code, provider, since, until = wanted
    matched, retried, skipped, is_done = counts
    return Run(
        UUID(run_id),
        console_failed.FailedFilter(code, provider, _instant(since), _instant(until)),
        None if chosen is None else tuple(UUID(each) for each in chosen),
        matched,
        retried,
        skipped,
        None if before is None else PageCursor(datetime.fromisoformat(before[0]), UUID(before[1])),
        is_done,
    )


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _instant(given: Any) -> datetime | None:
    return datetime.fromisoformat(given) if given else None
