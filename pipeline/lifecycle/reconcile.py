"""The application of one stored callback, exactly once in effect."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pipeline.content.gate import GateUnavailable
from pipeline.domain.audit_types import AuditType
from pipeline.domain.backoff import poll_interval
from pipeline.domain.decide import reason_to_ignore
from pipeline.domain.errors import AccountProblem, ProviderError, StaleTransition
from pipeline.domain.events import EventDraft, EventType
from pipeline.domain.values import (
    CallbackEnvelope,
    ConfirmSubscription,
    DeliveryStatus,
    LookAtJob,
    Phase,
    ProviderStatus,
)
from pipeline.lifecycle.account_refusal import note_accepted, note_refusal
from pipeline.lifecycle.apply_report import apply_report, situation_of
from pipeline.lifecycle.job_reference import job_of
from pipeline.lifecycle.poll import follow_up
from pipeline.lifecycle.provider_report import ProviderReport
from pipeline.net.fetch import FetchRefused
from pipeline.providers.base import CallbackUnreadable, Provider
from pipeline.records import store
from pipeline.records.clock import from_now
from pipeline.records.models import Asset, Attempt, Delivery
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
    if provider is None:
        return _wait(services, delivery, f"account {delivery.provider} is not configured")
    try:
        told = provider.read_callback(envelope_of(delivery))
    except CallbackUnreadable:
        with session_of(services.engine) as session:
            return _bury(session, delivery, "unreadable")
    if told is None:
        with session_of(services.engine) as session:
            return _ignore(session, delivery, "not_for_us")
    if isinstance(told, ConfirmSubscription):
        return _confirm(services, provider, delivery, told)
    return _report(services, provider, delivery, told)


def _report(
    services: Services, provider: Provider, delivery: Delivery, told: ProviderStatus | LookAtJob
) -> Outcome:
    with session_of(services.engine) as session:
        attempt = _attempt_of(session, delivery.provider, told)
        if attempt is None:
            return _unknown(services, session, delivery)
    if isinstance(told, LookAtJob) or (told.phase is Phase.COMPLETED and told.outputs is None):
        return _look(services, provider, delivery, attempt, told.provider_job_id)
    return _apply(services, delivery, attempt, told)


def _confirm(
    services: Services, provider: Provider, delivery: Delivery, told: ConfirmSubscription
) -> Outcome:
    """Fetch the address that confirms a subscription. Repeating it has no further effect."""
    try:
        services.fetch_document(told.url, provider.trust.document_hosts)
    except FetchRefused as error:
        if error.transient:
            return _wait(services, delivery, f"confirmation: {error.code}")
        with session_of(services.engine) as session:
            return _ignore(session, delivery, f"confirmation: {error.code}")
    with session_of(services.engine) as session:
        _settle(delivery, session, DeliveryStatus.APPLIED, None)
        _audit(session, delivery, AuditType.SUBSCRIPTION_CONFIRMED)
    return Outcome("confirmed")


def _look(
    services: Services, provider: Provider, delivery: Delivery, attempt: Attempt, job_id: str
) -> Outcome:
    """Ask the provider at once about the job, and apply its answer as the callback's.

    The provider is not asked if every report about the asset would be ignored.
    """
    with session_of(services.engine) as session:
        asset = session.get_one(Asset, attempt.asset_id)
        reason = reason_to_ignore(situation_of(asset, attempt))
        if reason is not None:
            return _ignore_of(session, delivery, attempt, reason)
    try:
        status = provider.fetch(replace(job_of(attempt, asset), provider_job_id=job_id))
    except ProviderError as error:
        if isinstance(error, AccountProblem):
            note_refusal(services, asset.id, attempt.id, error, call="fetch")
        return _wait(services, delivery, error.traceable)
    if status is None:
        with session_of(services.engine) as session:
            return _ignore_of(session, delivery, attempt, "job_gone")
    if status.follow_up is None:
        note_accepted(services, attempt)
    outcome = _apply(services, delivery, attempt, status)
    if status.follow_up is None:
        return outcome
    # The delivery is settled: if the call fails, the next poll makes it.
    with suppress(ProviderError, StaleTransition):
        follow_up(services, provider, asset.id, attempt, status)
    return outcome


def _apply(
    services: Services, delivery: Delivery, attempt: Attempt, status: ProviderStatus
) -> Outcome:
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


def envelope_of(delivery: Delivery) -> CallbackEnvelope:
    """Return a stored callback as its adapter reads it."""
    return CallbackEnvelope(delivery.headers, delivery.body, delivery.query)


def _attempt_of(
    session: Session, provider: str, status: ProviderStatus | LookAtJob
) -> Attempt | None:
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


def _ignore_of(session: Session, delivery: Delivery, attempt: Attempt, reason: str) -> Outcome:
    """Ignore a callback about a job of ours, and say so in the asset's chronicle."""
    _settle(delivery, session, DeliveryStatus.IGNORED, reason, asset_id=attempt.asset_id)
    store.record(
        session,
        attempt.asset_id,
        EventDraft(
            EventType.CALLBACK_IGNORED,
            f"provider:{delivery.provider}",
            {"reason": reason},
            attempt=attempt.number,
            provider=attempt.provider,
            provider_job_id=attempt.provider_job_id,
            provider_event_id=delivery.event_id,
        ),
    )
    return Outcome(f"ignored: {reason}")


def _ignore(session: Session, delivery: Delivery, reason: str) -> Outcome:
    _settle(delivery, session, DeliveryStatus.IGNORED, reason)
    _audit(session, delivery, AuditType.CALLBACK_IGNORED, reason)
    return Outcome(f"ignored: {reason}")


def _audit(
    session: Session, delivery: Delivery, type_: AuditType, reason: str | None = None
) -> None:
    store.audit(
        session,
        type_,
        actor=f"provider:{delivery.provider}",
        reason=reason,
        provider=delivery.provider,
        detail={"delivery_id": str(delivery.id), "event_id": delivery.event_id},
    )


def _bury(session: Session, delivery: Delivery, reason: str) -> Outcome:
    _settle(delivery, session, DeliveryStatus.DEAD, reason)
    return Outcome(f"dead: {reason}")
