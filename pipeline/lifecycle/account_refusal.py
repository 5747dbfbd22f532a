"""The refusal of an account (401, 402, 403) while its vendor has a job of ours.

Nothing is known against the job, so it costs no failure. The chronicle has the refusal at once. The
job goes on as soon as the vendor accepts the account again. If it does not do so in time, another
account gets the asset, and the release of the job stays owed.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_poll, wake_release
from pipeline.domain.errors import AccountProblem
from pipeline.domain.states import Status
from pipeline.domain.values import Setback
from pipeline.lifecycle.settle import settle
from pipeline.limits.account_choice import has_another
from pipeline.records import account_states, releases, store, transitions, vendor_facts
from pipeline.records.account_states import REFUSED_ACCOUNT
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services

REFUSED_AT = "refused_at"
"""Key of an attempt's vendor facts: the instant of the first refusal since the last good answer."""


def note_refusal(
    services: Services, asset_id: UUID, attempt_id: UUID, error: AccountProblem, *, call: str
) -> Outcome:
    """Record that the vendor refused a call about a job because of the account.

    Args:
        call: The name of the call, for the chronicle, which has only the first of several.

    Returns:
        ``waiting`` as long as the asset waits for this account.

    Raises:
        StaleTransition: The asset moved on; nothing is written.
    """
    with session_of(services.engine) as session:
        locked = store.lock(session, asset_id)
        if locked is None or not _waits_for(locked.asset, attempt_id):
            return Outcome("moved_on")
        attempt = session.get_one(Attempt, attempt_id)
        refused_at = _refused_at(attempt)
        if refused_at is None:
            refused_at = locked.now
            vendor_facts.merge_facts(session, attempt_id, {REFUSED_AT: refused_at.isoformat()})
            change = transitions.account_refused(call, str(error), error.request_id)
            store.advance(session, locked.asset, change)
        limit = timedelta(seconds=services.settings.providers.account_grace_sec)
        left = refused_at + limit - locked.now
        if left > timedelta() and locked.asset.next_poll_at is not None:
            store.advance(session, locked.asset, transitions.poll_no_later(left.total_seconds()))
        if left > timedelta() or not _may_leave(services, session, locked.asset):
            return Outcome(f"waiting: {error.traceable}")
        return hand_on(services, session, locked.asset, actor="worker", message=str(error))


def note_accepted(services: Services, attempt: Attempt) -> None:
    """Forget a refusal: the vendor has answered every call about the job."""
    if REFUSED_AT not in attempt.vendor:
        return
    with session_of(services.engine) as session:
        vendor_facts.remove_fact(session, attempt.id, REFUSED_AT)


def is_refused(session: Session, asset: Asset) -> bool:
    """Return true if the vendor's last answer about a processing asset's job was a refusal."""
    return REFUSED_AT in session.get_one(Attempt, asset.attempt_id).vendor


def end_at_deadline(services: Services, session: Session, asset: Asset) -> Outcome:
    """Enforce the deadline of an asset whose account is refused.

    Its time does not run while nothing can be known of its job, so it is moved, unless another
    account can take the asset. If the vendor has accepted the account again since, at another
    call, the asset is asked about first.
    """
    row = account_states.all_states(session).get(asset.provider)
    if row is None or row.problem is None:
        return _look_first(services, session, asset)
    if _may_leave(services, session, asset):
        return hand_on(services, session, asset, actor="sweep", message="refused at the deadline")
    change = transitions.deadline_moved(services.settings.providers.account_grace_sec)
    store.advance(session, asset, change)
    return Outcome("waiting: the account is refused")


def _look_first(services: Services, session: Session, asset: Asset) -> Outcome:
    """Move the deadline, poll at once, and forget the refusal, so that this happens once."""
    assert asset.attempt_id is not None
    vendor_facts.remove_fact(session, asset.attempt_id, REFUSED_AT)
    change = transitions.deadline_moved(services.settings.providers.account_grace_sec)
    store.advance(session, asset, change)
    if asset.next_poll_at is None:
        return Outcome("waiting: the job is looked up")
    store.advance(session, asset, transitions.poll_no_later(0))
    return Outcome("waiting: the account is accepted again", (wake_poll(asset.id),))


def hand_on(
    services: Services, session: Session, asset: Asset, *, actor: str, message: str
) -> Outcome:
    """Give the job up, owe its release, and let another account take the asset."""
    assert asset.attempt_id is not None
    owed = releases.owe_release(session, asset.attempt_id)
    store.update_attempt(session, asset.attempt_id, error_code=REFUSED_ACCOUNT)
    setback = Setback(REFUSED_ACCOUNT, message, retryable=True, held=True)
    settled = settle(
        session, asset, setback, retry=services.settings.retry, rng=services.rng, actor=actor
    )
    return Outcome(settled.status.value, tuple(map(wake_release, owed)))


def _waits_for(asset: Asset, attempt_id: UUID) -> bool:
    is_current = asset.attempt_id == attempt_id and asset.deleted_at is None
    return is_current and asset.status is Status.PROCESSING


def _may_leave(services: Services, session: Session, asset: Asset) -> bool:
    """Return true if another account can take the asset.

    An asset on the move to this account waits for it: a job elsewhere would not move it.
    """
    if asset.wanted_provider == asset.provider:
        return False
    return has_another(services, session, asset, asset.provider)


def _refused_at(attempt: Attempt) -> datetime | None:
    found = attempt.vendor.get(REFUSED_AT)
    return datetime.fromisoformat(found) if found else None
