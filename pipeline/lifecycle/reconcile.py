"""The application of one stored callback, exactly once in effect."""

from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pipeline.content.gate import GateUnavailable
from pipeline.domain.backoff import poll_interval
from pipeline.domain.errors import StaleTransition
from pipeline.domain.values import DeliveryStatus, ProviderStatus
from pipeline.lifecycle.apply_report import apply_report
from pipeline.lifecycle.provider_report import ProviderReport
from pipeline.providers.base import CallbackUnreadable
from pipeline.records import store
from pipeline.records.clock import from_now
from pipeline.records.models import Attempt, Delivery
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services

LEAST_WAIT_SEC = 2.0
"""About the time by which a callback overtakes the answer to its submission."""


def reconcile(services: Services, delivery_id: UUID) -> Outcome:
    """Apply the delivery if it is due and no other worker has it.

    Safe to run twice: a settled delivery is left alone, and one in work is not due.
    """
    with session_of(services.engine) as session:
        delivery = _take(services, session, delivery_id)
        if delivery is None:
            return Outcome("not_due")
        if delivery.tries > services.settings.callbacks.max_delivery_tries:
            return _bury(session, delivery, "worker_crashed")
    try:
        return _reconcile_taken(services, delivery)
    except GateUnavailable as error:
        return _wait(services, delivery, str(error))
    except StaleTransition:
        return Outcome("settled_elsewhere")


def _take(services: Services, session: Session, delivery_id: UUID) -> Delivery | None:
    """Count the try and postpone the row by a lease, before any work.

    A delivery that ends its workers is therefore tried a limited number of times.
    """
    due = (
        select(Delivery.id)
        .where(
            Delivery.id == delivery_id,
            Delivery.status == DeliveryStatus.NEW,
            Delivery.next_try_at <= func.clock_timestamp(),
        )
        .with_for_update(skip_locked=True)
    )
    taken = (
        update(Delivery)
        .where(Delivery.id.in_(due.scalar_subquery()))
        .values(tries=Delivery.tries + 1, next_try_at=from_now(services.settings.leases.lease_sec))
        .returning(Delivery)
        .execution_options(synchronize_session=False)
    )
    return session.scalars(taken).one_or_none()


def _reconcile_taken(services: Services, delivery: Delivery) -> Outcome:
    provider = services.providers.get(delivery.provider)
    try:
        status = provider.read_callback(delivery.body) if provider else None
    except CallbackUnreadable:
        with session_of(services.engine) as session:
            return _bury(session, delivery, "unreadable")
    with session_of(services.engine) as session:
        if status is None:
            return _ignore(session, delivery, "not_for_us")
        attempt = _attempt_of(session, delivery.provider, status)
        if attempt is None:
            return _unknown(services, session, delivery)
    report = ProviderReport(
        attempt_id=attempt.id,
        asset_id=attempt.asset_id,
        status=status,
        actor=f"provider:{delivery.provider}",
        event_id=delivery.event_id,
        settle_delivery=partial(_settle, delivery, asset_id=attempt.asset_id),
    )
    applied = apply_report(services, report)
    return Outcome(applied.result, applied.wakes)


def _attempt_of(session: Session, provider: str, status: ProviderStatus) -> Attempt | None:
    """Find the attempt of a report, by our own id if the provider echoes it.

    The callback may be quicker than the answer to the submission. Then no row knows the provider's
    id yet, but the attempt's own id was committed before the call.
    """
    if status.attempt_id is not None:
        attempt = session.get(Attempt, status.attempt_id)
        return attempt if attempt is not None and attempt.provider == provider else None
    return session.scalars(
        select(Attempt).where(
            Attempt.provider == provider, Attempt.provider_job_id == status.provider_job_id
        )
    ).one_or_none()


def _unknown(services: Services, session: Session, delivery: Delivery) -> Outcome:
    """Keep a callback for an unknown job for a while: its submission may still be on its way."""
    now = session.scalars(select(func.clock_timestamp())).one()
    kept = timedelta(seconds=services.settings.callbacks.unknown_sec)
    if now - delivery.received_at > kept:
        return _ignore(session, delivery, "unknown_job")
    _postpone(services, session, delivery)
    return Outcome("unknown_job")


def _wait(services: Services, delivery: Delivery, reason: str) -> Outcome:
    with session_of(services.engine) as session:
        _postpone(services, session, delivery)
    return Outcome(f"waiting: {reason}")


def _postpone(services: Services, session: Session, delivery: Delivery) -> None:
    """Postpone the delivery, by more the longer it has waited.

    The try ended in order, so it does not count as a crash.
    """
    now = session.scalars(select(func.clock_timestamp())).one()
    waited_sec = (now - delivery.received_at).total_seconds()
    delay_sec = poll_interval(waited_sec, services.rng, least_sec=LEAST_WAIT_SEC, cap_sec=60)
    session.execute(
        update(Delivery)
        .where(Delivery.id == delivery.id, Delivery.status == DeliveryStatus.NEW)
        .values(tries=Delivery.tries - 1, next_try_at=from_now(delay_sec))
        .execution_options(synchronize_session=False)
    )


def _settle(
    delivery: Delivery,
    session: Session,
    status: DeliveryStatus,
    reason: str | None,
    *,
    asset_id: UUID | None = None,
) -> None:
    """End the delivery, in the transaction that applies it.

    Raises:
        StaleTransition: Another worker has ended it since; nothing is written.
    """
    settled = session.scalar(
        update(Delivery)
        .where(Delivery.id == delivery.id, Delivery.status == DeliveryStatus.NEW)
        .values(
            status=status,
            reason=reason,
            next_try_at=None,
            settled_at=func.now(),
            asset_id=asset_id,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    if settled is None:
        raise StaleTransition


def _ignore(session: Session, delivery: Delivery, reason: str) -> Outcome:
    _settle(delivery, session, DeliveryStatus.IGNORED, reason)
    store.audit(
        session,
        "callback_ignored",
        actor=f"provider:{delivery.provider}",
        reason=reason,
        provider=delivery.provider,
        detail={"delivery_id": str(delivery.id), "event_id": delivery.event_id},
    )
    return Outcome(f"ignored: {reason}")


def _bury(session: Session, delivery: Delivery, reason: str) -> Outcome:
    _settle(delivery, session, DeliveryStatus.DEAD, reason)
    return Outcome(f"dead: {reason}")
