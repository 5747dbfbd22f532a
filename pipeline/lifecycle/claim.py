"""The claim of an asset for this worker: a new attempt, or the takeover of a lapsed lease."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from pipeline.config.task_names import wake_release
from pipeline.config.work_settings import LeaseSettings
from pipeline.content.source import Source, locate
from pipeline.domain.states import WAITING, Status
from pipeline.domain.values import JobRef
from pipeline.lifecycle.job_reference import job_of
from pipeline.limits.account_choice import Chosen, NoneChosen, choose_account
from pipeline.limits.owner_share import has_share_left
from pipeline.net.fetch import FetchCode, Version
from pipeline.records import releases, store, transitions
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.wakes import Wake
from pipeline.services import Services


@dataclass(frozen=True)
class Claim:
    """An asset under this worker's lease. The token in ``asset`` guards each of its writes.

    Attributes:
        pinned: The version of the source that was measured before, which it must still be.
    """

    asset: Asset
    attempt: Attempt
    source: Source
    pinned: Version | None
    taken_over: bool

    @property
    def job(self) -> JobRef:
        """The attempt's job, for its provider."""
        return job_of(self.attempt, self.asset)


@dataclass(frozen=True)
class NoClaim:
    """The reason that nothing was claimed, and the workers to wake."""

    reason: str
    wakes: tuple[Wake, ...] = ()


def claim_asset(services: Services, session: Session, asset_id: UUID) -> Claim | NoClaim:
    """Claim an asset that is due, or take over one whose lease has lapsed.

    A new attempt goes to the first account that can do the job and may be called; without one the
    asset is held. An owner who has as many sources read as may be waits for one of them, without a
    write: the end of each wakes the next one. A takeover goes on with the account of its attempt,
    which is charged already and whose job must be looked up.

    Safe to run twice: the second run finds a lease that holds, or nothing due.
    """
    locked = store.lock(session, asset_id, skip_locked=True)
    if locked is None:
        return NoClaim("busy_or_gone")
    asset, now = locked
    if asset.deleted_at is not None:
        return NoClaim("deleted")
    if asset.status in WAITING and _is_past(asset.next_attempt_at, now):
        return _fresh(services, session, asset, now)
    if asset.status is Status.PROCESSING and _is_past(asset.lease_expires_at, now):
        return _take_over(services.settings.leases, session, asset)
    return NoClaim("nothing_to_submit")


def _is_past(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant <= now


def _fresh(services: Services, session: Session, asset: Asset, now: datetime) -> Claim | NoClaim:
    if not has_share_left(session, asset.owner_id, services.settings.owner_limits.max_reading):
        return NoClaim("others_of_owner_first")
    chosen = choose_account(services, session, asset, now)
    if isinstance(chosen, NoneChosen):
        return _hold(session, asset, chosen)
    return _start(services, session, asset, chosen)


def _hold(session: Session, asset: Asset, hold: NoneChosen) -> NoClaim:
    """Hold a waiting asset. An unchanged reason writes no event."""
    change = transitions.hold_extended(
        hold.hold_reason,
        hold.delay_sec,
        is_news=asset.hold_reason != hold.hold_reason,
        account=hold.account,
        passed_over=hold.passed_over,
    )
    store.advance(session, asset, change)
    return NoClaim("held")


def _start(services: Services, session: Session, asset: Asset, chosen: Chosen) -> Claim:
    # The releases of all earlier jobs are owed before this attempt can submit.
    releases.owe_releases(session, asset.id)
    attempt = Attempt(
        id=uuid4(),
        asset_id=asset.id,
        generation=asset.generation,
        number=asset.attempt + 1,
        provider=chosen.account,
        reserved_sec=chosen.reserved_sec,
    )
    session.execute(
        insert(Attempt).values(
            id=attempt.id,
            asset_id=attempt.asset_id,
            generation=attempt.generation,
            number=attempt.number,
            provider=attempt.provider,
            reserved_sec=attempt.reserved_sec,
        )
    )
    change = transitions.claimed(
        attempt,
        lease_sec=services.settings.leases.lease_sec,
        deadline_sec=services.deadline_sec(chosen.account),
        passed_over=chosen.passed_over,
    )
    return _claim(session, store.advance(session, asset, change), taken_over=False)


def _take_over(leases: LeaseSettings, session: Session, asset: Asset) -> Claim | NoClaim:
    """Go on with an attempt whose worker was lost, or give the asset up.

    The last permitted claims run one after the other: assets that were beside the one that stopped
    their worker are not charged for its next crash.
    """
    if asset.claims >= leases.max_claims:
        return _give_up(session, asset)
    is_last = 1 < asset.claims + 1 == leases.max_claims
    if is_last and store.runs_last_claim(session, asset, leases.max_claims):
        return NoClaim("another_suspect_first")
    change = transitions.lease_taken_over(asset, lease_sec=leases.lease_sec)
    return _claim(session, store.advance(session, asset, change), taken_over=True)


def _give_up(session: Session, asset: Asset) -> NoClaim:
    owed = releases.owe_releases(session, asset.id)
    store.discard(session, Attempt.id == asset.attempt_id)
    store.advance(session, asset, transitions.worker_crashed(asset))
    return NoClaim("worker_crashed", tuple(map(wake_release, owed)))


def _claim(session: Session, asset: Asset, *, taken_over: bool) -> Claim:
    attempt = session.get_one(Attempt, asset.attempt_id)
    pinned = _pinned(session, asset, attempt)
    return Claim(asset, attempt, locate(session, asset), pinned, taken_over)


def _pinned(session: Session, asset: Asset, attempt: Attempt) -> Version | None:
    """Return the version of the source that an earlier attempt has measured; None for any.

    An attempt after one that ended as ``source_changed`` was asked for by a person, who was told
    that the file is another one: it measures the file as it is now.
    """
    earlier = select(Attempt.number).where(
        Attempt.asset_id == asset.id, Attempt.number < attempt.number
    )
    last_verified = earlier.where(Attempt.intended_at.is_not(None)).order_by(Attempt.number.desc())
    replaced = earlier.where(
        Attempt.number >= func.coalesce(last_verified.limit(1).scalar_subquery(), 0),
        Attempt.error_code == FetchCode.SOURCE_CHANGED,
    )
    if asset.source_info is None or session.scalars(replaced.limit(1)).one_or_none() is not None:
        return None
    return Version(asset.source_size_bytes, asset.source_etag)
