"""Removal of files that are no longer published, with a dry run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import case, delete, exists, func, update
from sqlalchemy.orm import Session

from pipeline.content.object_urls import attempt_prefixes, owner_prefix
from pipeline.domain.events import EventDraft, EventType
from pipeline.records import due, releases, store
from pipeline.records.models import Asset, Attempt, Output, Upload
from pipeline.runtime.database import session_of
from pipeline.services import Services
from pipeline.uploads.complete import discard, folder_of, held_bytes


@dataclass(frozen=True)
class Purged:
    """Removed files, or the files that a dry run would remove.

    Attributes:
        prefixes: Removed folders of the storage.
        reclaimed_bytes: Size of the removed content.
    """

    prefixes: tuple[str, ...]
    reclaimed_bytes: int


def purge(services: Services, *, dry_run: bool = False) -> Purged:
    """Remove the files of discarded attempts, deleted assets, unused uploads, killed writers.

    A row is marked before its files are removed and settled after, so that the next purge repeats
    one that was killed in between. One run handles one batch of each kind.
    """
    with session_of(services.engine) as session:
        attempts = due.discarded_attempts(session)
        assets = due.deleted_assets(session, keep_sec=store.KEEP_DISCARDED_SEC)
        abandoned = due.abandoned_uploads(session)
        unclaimed = due.unclaimed_uploads(session, keep_sec=services.settings.uploads.expires_sec)
        sources = {asset.id: source_prefix(asset) for asset in assets}
    removed = [
        *(_purge_attempt(services, attempt, dry_run=dry_run) for attempt in attempts),
        *(_purge_asset(services, id_, key, dry_run=dry_run) for id_, key in sources.items()),
        *(_purge_upload(services, upload, dry_run=dry_run) for upload in abandoned),
        *(_purge_unclaimed(services, upload, dry_run=dry_run) for upload in unclaimed),
    ]
    prefixes = tuple(prefix for part in removed for prefix in part.prefixes)
    unfinished_bytes = services.storage.remove_unfinished(
        # A storage may count from the first part, and an upload may last as long as its ticket.
        older_than_sec=max(store.KEEP_DISCARDED_SEC, services.settings.uploads.expires_sec),
        dry_run=dry_run,
    )
    return Purged(prefixes, unfinished_bytes + sum(part.reclaimed_bytes for part in removed))


def _purge_attempt(services: Services, attempt: Attempt, *, dry_run: bool) -> Purged:
    prefixes = attempt_prefixes(attempt.asset_id, attempt.id)
    if dry_run:
        return _measure(services, prefixes)
    if not _mark_attempt(services, attempt):
        return Purged((), 0)
    removed = _remove(services, prefixes)
    with session_of(services.engine) as session:
        store.update_attempt(session, attempt.id, purge_at=None)
    return removed


def _mark_attempt(services: Services, attempt: Attempt) -> bool:
    """Mark an attempt as no longer publishable, unless an output of it was just published.

    The job is also released at its provider.
    """
    with session_of(services.engine) as session:
        if store.lock(session, attempt.asset_id) is None:
            return False
        marked = session.scalar(
            update(Attempt)
            .where(Attempt.id == attempt.id, Attempt.purge_at <= func.now())
            .values(purged_at=func.coalesce(Attempt.purged_at, func.now()))
            .returning(Attempt.id)
            .execution_options(synchronize_session=False)
        )
        if marked is not None:
            give_up_outputs(session, [marked])
        return marked is not None


def give_up_outputs(session: Session, attempt_ids: Sequence[UUID]) -> None:
    """Mark the outputs of these attempts as removed, and owe the release of their jobs.

    A rollback takes none of them any more. A tombstone goes on naming its last output, which
    therefore does not count as retired.
    """
    for attempt_id in attempt_ids:
        releases.owe_release(session, attempt_id, published_too=True)
    is_named = exists().where(Asset.published_output_id == Output.id)
    session.execute(
        update(Output)
        .where(Output.attempt_id.in_(attempt_ids), Output.removed_at.is_(None))
        .values(
            removed_at=func.now(),
            retired_at=case(
                (is_named, Output.retired_at), else_=func.coalesce(Output.retired_at, func.now())
            ),
        )
        .execution_options(synchronize_session=False)
    )


def _purge_asset(
    services: Services, asset_id: UUID, prefix: str | None, *, dry_run: bool
) -> Purged:
    prefixes = [prefix] if prefix else []
    if dry_run:
        return _measure(services, prefixes)
    removed = _remove(services, prefixes)
    with session_of(services.engine) as session:
        session.execute(
            update(Asset)
            .where(Asset.id == asset_id)
            .values(purged_at=func.now())
            .execution_options(synchronize_session=False)
        )
        detail = {"reclaimed_bytes": removed.reclaimed_bytes}
        store.record(session, asset_id, EventDraft(EventType.PURGED, "sweep", detail))
    return removed


def source_prefix(asset: Asset) -> str | None:
    """Return the folder of an uploaded source; the upload's id is the asset's."""
    if asset.upload_id is None:
        return None  # a source that the owner named belongs to the owner
    return f"{owner_prefix(asset.owner_id)}{asset.post_id}/{asset.upload_id}"


def _purge_unclaimed(services: Services, upload: Upload, *, dry_run: bool) -> Purged:
    """Remove an upload without a video, unless a video of it is registered meanwhile."""
    if not dry_run and not _mark_unclaimed(services, upload):
        return Purged((), 0)
    return _purge_upload(services, upload, dry_run=dry_run)


def _mark_unclaimed(services: Services, upload: Upload) -> bool:
    """Clear ``completed_at`` of an unclaimed upload; return False if it has been claimed.

    `create` claims only uploads whose ``completed_at`` is set, so that the two are safe in either
    order.
    """
    with session_of(services.engine) as session:
        marked = session.scalar(
            update(Upload)
            .where(Upload.id == upload.id, Upload.claimed_at.is_(None))
            .values(completed_at=None, expires_at=func.least(Upload.expires_at, func.now()))
            .returning(Upload.id)
            .execution_options(synchronize_session=False)
        )
    return marked is not None


def _purge_upload(services: Services, upload: Upload, *, dry_run: bool) -> Purged:
    hold_or_remove = held_bytes if dry_run else discard
    size_bytes = hold_or_remove(services.storage, upload)
    removed = Purged((folder_of(upload),) if size_bytes else (), size_bytes)
    if dry_run:
        return removed
    with session_of(services.engine) as session:
        session.execute(delete(Upload).where(Upload.id == upload.id, Upload.claimed_at.is_(None)))
    return removed


def _measure(services: Services, prefixes: Iterable[str]) -> Purged:
    held = [
        (prefix, sum(stat.size_bytes for stat in services.storage.list(prefix)))
        for prefix in prefixes
    ]
    return Purged(tuple(p for p, size in held if size), sum(size for _, size in held))


def _remove(services: Services, prefixes: Iterable[str]) -> Purged:
    held = [(prefix, services.storage.delete_prefix(prefix)) for prefix in prefixes]
    return Purged(tuple(p for p, size in held if size), sum(size for _, size in held))
