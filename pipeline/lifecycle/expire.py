"""Enforce a deadline: nothing stays in a live state for ever."""

from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.domain.errors import StaleTransition
from pipeline.domain.failures import failure_of
from pipeline.domain.states import LIVE, Status
from pipeline.domain.values import EventDraft
from pipeline.lifecycle.settle import Setback, settle
from pipeline.records import releases, store
from pipeline.records.models import Asset
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services


def expire(services: Services, asset_id: UUID) -> Outcome:
    """End what took too long: a waiting asset fails, a processing one gives its attempt up.

    Safe to run twice: the first run moves the deadline or the state.
    """
    with session_of(services.engine) as session:
        locked = store.lock(session, asset_id, skip_locked=True)
        if locked is None:
            return Outcome("busy_or_gone")
        asset, now = locked
        late = asset.deadline_at is not None and asset.deadline_at <= now
        if asset.status not in LIVE or asset.deleted_at is not None or not late:
            return Outcome("not_due")
        try:
            return _expire(services, session, asset)
        except StaleTransition:
            return Outcome("stale")


def _expire(services: Services, session: Session, asset: Asset) -> Outcome:
    if asset.status is Status.PROCESSING:
        owed = releases.owe_releases(session, asset.id)
        setback = Setback("expired", "the provider did not finish in time", retryable=True)
        settled = settle(
            session, asset, setback, settings=services.settings, rng=services.rng, actor="sweep"
        )
        return Outcome(settled.status.value, tuple(map(wake_release, owed)))
    store.advance(
        session,
        asset,
        Status.FAILED,
        EventDraft("expired", "sweep", {"hold_reason": asset.hold_reason}),
        error_code="expired",
        error_message=failure_of("expired").message,
        next_attempt_at=None,
        deadline_at=None,
        hold_reason=None,
        lease_token=Asset.lease_token + 1,
    )
    return Outcome("failed")
