"""Take an asset out of every worker's hands: cancel it, delete it, or encode it anew.

All three raise the lease token first, so that whoever holds the asset can write nothing more, and
owe the provider its release in the same transaction. Cleaning up is left to the sweep.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from pipeline.config.settings import Settings
from pipeline.config.task_names import wake_release, wake_submit
from pipeline.domain.failures import failure_of
from pipeline.domain.states import LIVE, Status
from pipeline.domain.values import EventDraft
from pipeline.lifecycle.contend import conflict, write_or_conflict
from pipeline.limits.owner_quotas import refuse_one_more_live
from pipeline.records import queries, releases, store
from pipeline.records.models import Asset, Attempt
from pipeline.runtime.wakes import Wake

IDLE: dict[str, Any] = {
    "hold_reason": None,
    "next_attempt_at": None,
    "next_poll_at": None,
    "lease_expires_at": None,
    "lease_token": Asset.lease_token + 1,
}
"""Nothing is due any more, and nobody holds it."""


@dataclass(frozen=True)
class Fenced:
    """The asset as it stands now, and whom to wake."""

    asset: Asset
    wakes: tuple[Wake, ...]


def cancel_asset(session: Session, post_id: UUID, *, actor: str) -> Fenced:
    """End a live asset at its owner's word: ``failed`` with code ``cancelled``.

    Nothing the provider says later resurrects it; a manual retry starts it over.

    Raises:
        NotFound: ``post_not_found``.
        Conflict: ``not_active``, ``status_changed``, with the current state.
    """
    asset = queries.asset_of_post(session, post_id)
    if asset.status not in LIVE:
        raise conflict("not_active", "Only a video in progress can be cancelled.", asset)

    def end() -> Asset:
        return store.advance(
            session,
            asset,
            Status.FAILED,
            EventDraft("cancelled", actor),
            error_code="cancelled",
            error_message=failure_of("cancelled").message,
            deadline_at=None,
            **IDLE,
        )

    cancelled = write_or_conflict(session, post_id, end)
    store.discard(session, Attempt.id == asset.attempt_id)
    owed = releases.owe_releases(session, asset.id)
    return Fenced(cancelled, tuple(map(wake_release, owed)))


def delete_asset(session: Session, post_id: UUID, *, actor: str) -> Fenced:
    """Leave a tombstone: the post is free again, the files go with the next purge.

    Raises:
        NotFound: ``post_not_found``, also the second time.
        Conflict: ``status_changed``.
    """
    asset = queries.asset_of_post(session, post_id)

    def bury() -> Asset:
        return store.amend(
            session, asset, EventDraft("deleted", actor), deleted_at=store.from_now(0), **IDLE
        )

    buried = write_or_conflict(session, post_id, bury)
    store.discard(session, Attempt.asset_id == asset.id)
    owed = releases.owe_releases(session, asset.id, published_too=True)
    return Fenced(buried, tuple(map(wake_release, owed)))


def reencode_asset(session: Session, post_id: UUID, *, settings: Settings, actor: str) -> Fenced:
    """Process a completed video anew, aside: what is published stays until it is replaced.

    Raises:
        NotFound: ``post_not_found``.
        Conflict: ``not_completed``, ``status_changed``, with the current state.
        LimitReached: ``too_many_in_flight``, ``owner_busy``: of an owner. The transaction must not
            be committed.
    """
    asset = queries.asset_of_post(session, post_id)
    if asset.status is not Status.COMPLETED:
        raise conflict("not_completed", "Only a completed video can be encoded anew.", asset)

    def start_over() -> Asset:
        return store.advance(
            session,
            asset,
            Status.QUEUED,
            EventDraft("reencode_requested", actor, {"generation": asset.generation + 1}),
            generation=Asset.generation + 1,
            failures=0,
            claims=0,
            progress=None,
            progress_at=None,
            deadline_at=store.from_now(settings.wait_deadline_sec),
            **IDLE | {"next_attempt_at": store.from_now(0), "woken_at": store.from_now(0)},
        )

    queued = write_or_conflict(session, post_id, start_over)
    refuse_one_more_live(session, settings, queued, actor=actor)
    return Fenced(queued, (wake_submit(queued.id),))
