"""The sweep: it finds all due work and wakes a worker for each. Messages are only hints."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.task_names import (
    TASK_SWEEP,
    TASK_TIDY,
    wake_poll,
    wake_reconcile,
    wake_release,
    wake_submit,
    wake_withdraw,
)
from pipeline.domain.errors import StaleTransition
from pipeline.domain.failures import failure_of
from pipeline.domain.faults import waits
from pipeline.domain.states import LIVE, Status
from pipeline.domain.values import Setback
from pipeline.lifecycle import account_refusal
from pipeline.lifecycle.settle import settle
from pipeline.limits import account_room, circuit_breaker, owner_quotas, spend_guard
from pipeline.records import (
    account_states,
    cache_purges,
    due,
    presence,
    releases,
    store,
    transitions,
)
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.database import session_of
from pipeline.runtime.wakes import Wake
from pipeline.services import Outcome, Services

MOST_BATCHES = 50
"""Batches of each kind of old records in one run; the next run an hour later goes on."""
INBOX_FIRST = timedelta(minutes=5)
"""Time for which a deadline waits for callbacks that came before it and that nobody has read."""
INBOX_GRACE_SEC = 2.0
"""A callback's own message has this long to arrive before the sweep sends another."""


def sweep(services: Services) -> Outcome:
    """Wake workers for everything that is due. Any number of sweeps may run at once."""
    grace_sec = services.settings.sweep.wake_grace_sec
    passes: list[tuple[Callable[[Session], list[UUID]], Callable[[UUID], Wake]]] = [
        (lambda session: due.waiting_assets(session, grace_sec=grace_sec), wake_submit),
        (due.lapsed_leases, wake_submit),
        (due.late_callbacks, wake_poll),
        (
            lambda session: due.unread_deliveries(session, grace_sec=INBOX_GRACE_SEC),
            wake_reconcile,
        ),
        (lambda session: _unpaid_releases(services, session), wake_release),
        (cache_purges.due_purges, wake_withdraw),
    ]
    _release_held(services)
    wakes: list[Wake] = []
    for find, wake in passes:
        with session_of(services.engine) as session:
            wakes.extend(map(wake, find(session)))
    wakes.extend(_expire_late(services))
    with session_of(services.engine) as session:
        presence.note_run(session, TASK_SWEEP)
    return Outcome(f"woke {len(wakes)}", tuple(wakes))


def _unpaid_releases(services: Services, session: Session) -> list[UUID]:
    """Return releases owed at accounts that may be called: others would fill the batch."""
    return due.unpaid_releases(
        session, services.providers.keys() - account_states.disabled(session)
    )


def _release_held(services: Services) -> None:
    """Make held assets due whose budget has room again, or whose provider answers again."""
    for account in services.providers:
        with session_of(services.engine) as session:
            spend_guard.release_held(session, account, services.spend_limits(account))
        with session_of(services.engine) as session:
            circuit_breaker.release_held(session, account)
    with session_of(services.engine) as session:
        account_room.release_held(services, session)


def _expire_late(services: Services) -> list[Wake]:
    with session_of(services.engine) as session:
        late = due.past_deadlines(session)
    return [wake for asset_id in late for wake in expire(services, asset_id).wakes]


def tidy(services: Services) -> Outcome:
    """Make partitions ahead, and remove expired keys and old records. Safe at any time."""
    with session_of(services.engine) as session:
        due.make_event_partitions(session)
    with session_of(services.engine) as session:
        spend_guard.prune(session)
    _remove_old_records(services)
    with session_of(services.engine) as session:
        presence.prune_presence(session)
        presence.note_run(session, TASK_TIDY)
    return Outcome("tidied")


def _remove_old_records(services: Services) -> None:
    """Remove records that are kept no longer, in batches with a transaction each."""
    kept = services.settings.retention
    removals: tuple[Callable[[Session], int], ...] = (
        due.prune_idempotency_keys,
        owner_quotas.prune,
        cache_purges.prune_purges,
        lambda session: due.empty_deliveries(session, days=kept.keep_callback_bodies_days),
        lambda session: due.forget_addresses(session, days=kept.keep_addresses_days),
        lambda session: due.prune_audit(session, days=kept.keep_audit_days),
    )
    for remove in removals:
        for _ in range(MOST_BATCHES):
            with session_of(services.engine) as session:
                removed = remove(session)
            if removed < due.KEPT_BATCH:
                break


def expire(services: Services, asset_id: UUID) -> Outcome:
    """Enforce a deadline: a waiting asset fails, a processing one gives its attempt up.

    A job is not given up at once while callbacks that its account sent in time lie unread: one of
    them may be its success.

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
            return _expire(services, session, asset, now)
        except StaleTransition:
            return Outcome("stale")


def _expire(services: Services, session: Session, asset: Asset, now: datetime) -> Outcome:
    if asset.status is Status.PROCESSING:
        assert asset.deadline_at is not None
        late = now - asset.deadline_at
        if late < INBOX_FIRST and due.has_unread_delivery(
            session, asset.provider, asset.deadline_at
        ):
            return Outcome("inbox_first")
        if account_refusal.is_refused(session, asset):
            return account_refusal.end_at_deadline(services, session, asset)
        owed = releases.owe_releases(session, asset.id)
        # A job that was taken and never finished counts like a submission without an answer.
        limits = services.settings.breaker_limits
        circuit_breaker.record_failure(session, asset.provider, limits)
        setback = _missed(services, session, asset)
        settled = settle(
            session, asset, setback, retry=services.settings.retry, rng=services.rng, actor="sweep"
        )
        return Outcome(settled.status.value, tuple(map(wake_release, owed)))
    store.advance(session, asset, transitions.expired(asset))
    return Outcome("failed")


def _missed(services: Services, session: Session, asset: Asset) -> Setback:
    """Return the setback of an attempt that is given up at its deadline.

    It costs the asset nothing while its outputs are there and cannot be read: the trouble is not
    the job's.
    """
    provider = services.providers.get(asset.provider)
    bills = provider is None or provider.capabilities.bills_failures
    code = session.get_one(Attempt, asset.attempt_id).error_code
    if code is not None and waits(
        failure_of(code).fault, retryable=True, took_job=True, bills=bills
    ):
        return Setback(code, "the outputs could not be read in time", retryable=True, held=True)
    return Setback("expired", "the provider did not finish in time", retryable=True)
