"""The state of a bulk retry: its preview and its progress, in a signed token of the page.

The server stores nothing: an abandoned run ends, and its retries stay.
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
from pipeline.domain.audit_types import AuditType
from pipeline.lifecycle.bulk_retry import BATCH, retry_batch
from pipeline.operations import console_failed
from pipeline.records.models import Asset
from pipeline.records.queries import PageCursor
from pipeline.runtime.database import session_of
from pipeline.runtime.signed_tokens import read_token, sign_token

BATCHES_OF_A_REQUEST = 5
"""A request takes at most a second or two; the page sends the next one by itself."""

_PURPOSE = "khronika.bulk-retry.v1"


@dataclass(frozen=True)
class Run:
    """One bulk retry.

    id: The run's id in the audit.
    wanted: The filter of the videos; it ends at the instant of the preview, so that no video
        appears twice.
    chosen: The ticked videos; None for all that match the filter.
    matched: The number of videos in the preview.
    before: The start of the next batch.
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
        """True after the first batch."""
        return self.is_done or self.before is not None

    @property
    def gone(self) -> int:
        """The number of previewed videos that left the list before their batch."""
        counted = min(self.matched, console_failed.COUNTED)
        return max(counted - self.retried - self.skipped, 0) if self.is_done else 0


def preview(
    wanted: console_failed.FailedFilter, chosen: Sequence[UUID] | None, matched: int
) -> Run:
    """Return a run that has not begun."""
    return Run(uuid4(), wanted, None if chosen is None else tuple(chosen), matched)


def advance(run: Run) -> Run:
    """Retry the next batches. Repeating it is safe: a video that is not failed is skipped."""
    if not run.has_begun:
        with session_of(services().engines.operator) as session:
            audit_operator(session, AuditType.BULK_RETRY, **_audit_detail(run))
    for _ in range(BATCHES_OF_A_REQUEST):
        if not run.is_done:
            run = _batch(run)
    return run


def _audit_detail(run: Run) -> dict[str, str]:
    optional = {
        "code": run.wanted.code,
        "provider": run.wanted.provider,
        "since": run.wanted.since and run.wanted.since.isoformat(),
        "until": run.wanted.until and run.wanted.until.isoformat(),
        "chosen": run.chosen and str(len(run.chosen)),
    }
    present = {name: value for name, value in optional.items() if value}
    return {"run": str(run.id), "matched": str(run.matched), **present}


def _batch(run: Run) -> Run:
    here = services()
    with session_of(here.engines.operator) as session:
        found = _next(session, run)
        # Read before the retry, which changes updated_at.
        last = PageCursor(found[-1].updated_at, found[-1].id) if found else run.before
        done = retry_batch(
            session,
            found,
            retry=here.settings.retry,
            owner_limits=here.settings.owner_limits,
            actor=caller().actor,
        )
        for asset in done.retried:
            audit_operator(
                session,
                AuditType.RETRY,
                post_id=asset.post_id,
                asset_id=asset.id,
                run=run.id,
            )
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
    """Return the run as a signed text for a form or an address."""
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
    """Return the run of a signed text.

    Raises:
        Problem: 422 ``validation_failed``.
    """
    key = services().settings.media_urls.accepted_keys
    try:
        run_id, wanted, chosen, counts, before = read_token(key, signed or "", purpose=_PURPOSE)
    except BadData:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "validation_failed", "This is no run of a bulk retry."
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
