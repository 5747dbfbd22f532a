"""Start a failed asset over, at the word of its owner or an operator."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.settings import Settings
from pipeline.config.task_names import wake_submit
from pipeline.domain.states import Status
from pipeline.domain.values import EventDraft
from pipeline.lifecycle.contend import conflict, write_or_conflict
from pipeline.limits.owner_quotas import refuse_one_more_live
from pipeline.records import queries, store
from pipeline.records.models import Asset
from pipeline.runtime.wakes import Wake


@dataclass(frozen=True)
class Retried:
    """The asset, queued again, and whom to wake."""

    asset: Asset
    wakes: tuple[Wake, ...]


def retry_asset(session: Session, post_id: UUID, *, settings: Settings, actor: str) -> Retried:
    """Queue a failed asset again: the budget starts over, the history stays.

    Not idempotent: of two concurrent retries one wins, the other is told the current state.

    Raises:
        NotFound: ``post_not_found``.
        Conflict: ``not_failed``, ``status_changed``, with the current state.
        LimitReached: ``too_many_in_flight``, ``owner_busy``: of an owner. The transaction must not
            be committed.
    """
    asset = queries.asset_of_post(session, post_id)
    if asset.status is not Status.FAILED:
        raise conflict("not_failed", "Only a failed video can be retried.", asset)

    def start_over() -> Asset:
        return store.advance(
            session,
            asset,
            Status.QUEUED,
            EventDraft("retried", actor, {"error_code": asset.error_code}),
            failures=0,
            claims=0,
            progress=None,
            progress_at=None,
            error_code=None,
            error_message=None,
            hold_reason=None,
            next_attempt_at=store.from_now(0),
            woken_at=store.from_now(0),
            deadline_at=store.from_now(settings.wait_deadline_sec),
            lease_token=Asset.lease_token + 1,
        )

    queued = write_or_conflict(session, post_id, start_over)
    refuse_one_more_live(session, settings, queued, actor=actor)
    return Retried(queued, (wake_submit(queued.id),))
