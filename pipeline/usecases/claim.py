"""Take an asset into our hands: a fresh attempt, or the one whose worker was lost."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.orm import Session

from pipeline import debts, store
from pipeline.failures import failure_of
from pipeline.models import Asset, Attempt
from pipeline.services import Services
from pipeline.settings import Settings
from pipeline.sources import Source, locate
from pipeline.states import WAITING, Status
from pipeline.values import EventDraft, Wake, wake_release


@dataclass(frozen=True)
class Claim:
    """An asset under our lease. The token in ``asset`` guards every write we make of it."""

    asset: Asset
    attempt: Attempt
    source: Source
    taken_over: bool


@dataclass(frozen=True)
class NoClaim:
    """Why there is nothing to do, and whom to wake about it."""

    reason: str
    wakes: tuple[Wake, ...] = ()


def claim_asset(services: Services, session: Session, asset_id: UUID) -> Claim | NoClaim:
    """Claim what is due, take over what was dropped, leave everything else alone.

    Safe to run twice: the second run finds a lease that holds.
    """
    locked = store.lock(session, asset_id, skip_locked=True)
    if locked is None:
        return NoClaim("busy_or_gone")
    asset, now = locked
    if asset.deleted_at is not None:
        return NoClaim("deleted")
    if asset.status in WAITING and _is_past(asset.next_attempt_at, now):
        return _fresh(services.settings, session, asset)
    if asset.status is Status.PROCESSING and _is_past(asset.lease_expires_at, now):
        return _take_over(services.settings, session, asset)
    return NoClaim("nothing_to_submit")


def _is_past(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant <= now


def _fresh(settings: Settings, session: Session, asset: Asset) -> Claim:
    # Whatever an earlier attempt may still have at a provider is owed its release before this
    # attempt can submit.
    debts.owe_releases(session, asset.id)
    attempt = Attempt(
        id=uuid4(),
        asset_id=asset.id,
        generation=asset.generation,
        number=asset.attempt + 1,
        provider=asset.provider,
    )
    session.execute(
        insert(Attempt).values(
            id=attempt.id,
            asset_id=attempt.asset_id,
            generation=attempt.generation,
            number=attempt.number,
            provider=attempt.provider,
        )
    )
    claimed = store.advance(
        session,
        asset,
        Status.PROCESSING,
        EventDraft("claimed", "worker", {"attempt_id": str(attempt.id)}),
        attempt=attempt.number,
        attempt_id=attempt.id,
        claims=1,
        provider_job_id=None,
        hold_reason=None,
        next_attempt_at=None,
        next_poll_at=None,
        progress=None,
        progress_at=None,
        error_code=None,
        error_message=None,
        deadline_at=store.from_now(settings.processing_deadline_sec),
        lease_token=Asset.lease_token + 1,
        lease_expires_at=store.from_now(settings.lease_sec),
    )
    return _claim(session, claimed, taken_over=False)


def _take_over(settings: Settings, session: Session, asset: Asset) -> Claim | NoClaim:
    if asset.claims >= settings.max_claims:
        return _give_up(session, asset)
    taken = store.amend(
        session,
        asset,
        EventDraft("lease_taken_over", "worker", {"claims": asset.claims + 1}),
        claims=Asset.claims + 1,
        lease_token=Asset.lease_token + 1,
        lease_expires_at=store.from_now(settings.lease_sec),
    )
    return _claim(session, taken, taken_over=True)


def _give_up(session: Session, asset: Asset) -> NoClaim:
    owed = debts.owe_releases(session, asset.id)
    store.discard(session, Attempt.id == asset.attempt_id)
    store.advance(
        session,
        asset,
        Status.FAILED,
        EventDraft("failed", "worker", {"code": "worker_crashed", "claims": asset.claims}),
        error_code="worker_crashed",
        error_message=failure_of("worker_crashed").message,
        lease_token=Asset.lease_token + 1,
        lease_expires_at=None,
        deadline_at=None,
        next_poll_at=None,
    )
    return NoClaim("worker_crashed", tuple(map(wake_release, owed)))


def _claim(session: Session, asset: Asset, *, taken_over: bool) -> Claim:
    attempt = session.get_one(Attempt, asset.attempt_id)
    return Claim(asset, attempt, locate(session, asset), taken_over)
