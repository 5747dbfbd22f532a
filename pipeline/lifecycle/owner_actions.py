"""Actions of an owner or an operator on one asset: retry, cancel, re-encode, delete.

Each action raises the lease token, so that a worker that holds the asset cannot write any more.
If a job may exist at a provider, the same transaction owes its release. The sweep carries it out.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.config.task_names import wake_release, wake_submit, wake_withdraw
from pipeline.config.work_settings import RetrySettings
from pipeline.domain.errors import Conflict, StaleTransition
from pipeline.domain.states import LIVE, Status
from pipeline.limits.owner_quotas import refuse_one_more_live
from pipeline.records import queries, releases, store, transitions
from pipeline.records.models import Asset, Attempt
from pipeline.records.transitions import Transition
from pipeline.runtime.database import lock_timed_out
from pipeline.runtime.wakes import Wake


@dataclass(frozen=True)
class Changed:
    """The asset after an action, and the workers to wake."""

    asset: Asset
    wakes: tuple[Wake, ...]


def retry_asset(
    session: Session,
    post_id: UUID,
    *,
    retry: RetrySettings,
    owner_limits: OwnerLimitSettings,
    actor: str,
) -> Changed:
    """Queue a failed asset again: the retry budget starts over, the history stays.

    Not idempotent: of two concurrent retries one succeeds and the other gets a conflict.

    Raises:
        NotFound: ``post_not_found``.
        Conflict: ``not_failed``, ``status_changed``, with the current state.
        LimitReached: ``too_many_in_flight``, ``owner_busy``: of an owner. The transaction must not
            be committed.
    """
    asset = queries.asset_of_post(session, post_id)
    if asset.status is not Status.FAILED:
        raise _conflict("not_failed", "Only a failed video can be retried.", asset)
    change = transitions.retried(asset, actor, deadline_sec=retry.wait_deadline_sec)
    return _start_over(session, owner_limits, asset, change, actor)


def reencode_asset(
    session: Session,
    post_id: UUID,
    *,
    retry: RetrySettings,
    owner_limits: OwnerLimitSettings,
    actor: str,
) -> Changed:
    """Queue a completed asset for a new generation; its outputs stay published meanwhile.

    Raises:
        NotFound: ``post_not_found``.
        Conflict: ``not_completed``, ``status_changed``, with the current state.
        LimitReached: ``too_many_in_flight``, ``owner_busy``: of an owner. The transaction must not
            be committed.
    """
    asset = queries.asset_of_post(session, post_id)
    if asset.status is not Status.COMPLETED:
        raise _conflict("not_completed", "Only a completed video can be re-encoded.", asset)
    change = transitions.reencode_requested(asset, actor, deadline_sec=retry.wait_deadline_sec)
    return _start_over(session, owner_limits, asset, change, actor)


def cancel_asset(session: Session, post_id: UUID, *, actor: str) -> Changed:
    """End a live asset: ``failed`` with code ``cancelled``.

    A later report of the provider changes nothing; a manual retry starts it over. Outputs that the
    cancelled generation has published are withdrawn in the same statement, by a trigger; those of
    an earlier generation stay.

    Raises:
        NotFound: ``post_not_found``.
        Conflict: ``not_active``, ``status_changed``, with the current state.
    """
    asset = queries.asset_of_post(session, post_id)
    if asset.status not in LIVE:
        raise _conflict("not_active", "Only a video in progress can be cancelled.", asset)
    played = asset.published_output_id is not None  # read first: the write refreshes this row
    cancelled = _write_or_conflict(session, asset, transitions.cancelled(actor))
    # Outputs that were published after the read are withdrawn as well; the sweep sees to them.
    plays_no_more = cancelled.published_output_id is None
    of_generation = (Attempt.asset_id == asset.id, Attempt.generation == asset.generation)
    store.discard(session, *of_generation, published_too=plays_no_more)
    owed = releases.owe_releases(session, asset.id, published_too=plays_no_more)
    wakes = [wake_withdraw(asset.id)] if played and plays_no_more else []
    return Changed(cancelled, (*wakes, *map(wake_release, owed)))


def delete_asset(session: Session, post_id: UUID, *, actor: str) -> Changed:
    """Leave a tombstone: the post is free again, and every address of the video is a 404.

    A worker removes its files at once, and again after a day, for late writers.

    Raises:
        NotFound: ``post_not_found``, also for a second deletion.
        Conflict: ``status_changed``.
    """
    asset = queries.asset_of_post(session, post_id)
    deleted = _write_or_conflict(session, asset, transitions.deleted(actor))
    store.discard(session, Attempt.asset_id == asset.id, published_too=True)
    owed = releases.owe_releases(session, asset.id, published_too=True)
    return Changed(deleted, (wake_withdraw(asset.id), *map(wake_release, owed)))


def _start_over(
    session: Session, owner_limits: OwnerLimitSettings, asset: Asset, change: Transition, actor: str
) -> Changed:
    queued = _write_or_conflict(session, asset, change)
    refuse_one_more_live(session, owner_limits, queued, actor=actor)
    return Changed(queued, (wake_submit(queued.id),))


def _write_or_conflict(session: Session, asset: Asset, change: Transition) -> Asset:
    """Write the change, unless another writer has changed the asset or is changing it now.

    Raises:
        Conflict: ``status_changed``, with the current state.
        NotFound: ``post_not_found``: it was deleted meanwhile.
    """
    try:
        # A savepoint, so that the transaction can read after the timeout of a lock.
        with session.begin_nested():
            return store.advance(session, asset, change)
    except StaleTransition as error:
        cause: Exception = error
    except OperationalError as error:
        if not lock_timed_out(error):
            raise
        cause = error
    current = queries.asset_of_post(session, asset.post_id)
    message = "The state of this video has just changed."
    raise _conflict("status_changed", message, current) from cause


def _conflict(code: str, message: str, asset: Asset) -> Conflict:
    return Conflict(code, message, status=asset.status.value, attempt=asset.attempt)
