"""The registration of a video for a post."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import column, func, select, text
from sqlalchemy.orm import Session

from pipeline.access.enrolment import require_enrolled
from pipeline.access.idempotency import (
    Answer,
    IdempotencyKey,
    columns_of,
    first_answer,
    in_flight_is_a_conflict,
    record_answer,
)
from pipeline.config.limit_settings import OwnerLimitSettings
from pipeline.config.task_names import wake_submit
from pipeline.config.work_settings import NewVideoSettings, RetrySettings
from pipeline.domain.errors import Conflict, NotFound
from pipeline.domain.states import Status
from pipeline.domain.values import CreateAsset
from pipeline.limits.owner_quotas import OwnerLoad, owner_is_busy, refuse_excess
from pipeline.records import store, transitions, upload_rows
from pipeline.records.models import Asset, Upload
from pipeline.runtime.wakes import Wake

# One statement, so that one round trip registers the key, the asset and its first event. If the key
# exists already, nothing else is inserted. An upload must be complete, and the same statement marks
# it as used: from then on the purge keeps it. If the purge was first, nothing is inserted; neither
# if the rollout has not come to the owner. The asset is charged to the owner's quota of the day.
# khronika_live_assets locks the owner and then counts, this asset included.
INSERT = text("""
    WITH fresh_key AS (
        INSERT INTO idempotency_keys (owner_id, route, key, request_sha256, expires_at)
        SELECT CAST(:key_owner_id AS text), CAST(:route AS text), CAST(:key AS text),
               CAST(:request_sha256 AS text), now() + make_interval(secs => :key_kept_sec)
        WHERE CAST(:key AS text) IS NOT NULL
        ON CONFLICT (owner_id, route, key) DO UPDATE
            SET request_sha256 = excluded.request_sha256, status_code = NULL, response = NULL,
                created_at = now(), expires_at = excluded.expires_at
            WHERE idempotency_keys.expires_at < now()
        RETURNING key
    ), claimed AS (
        UPDATE uploads SET claimed_at = now()
        WHERE id = CAST(:upload_id AS uuid) AND post_id = :post_id AND owner_id = :owner_id
          AND completed_at IS NOT NULL AND claimed_at IS NULL
          AND (CAST(:key AS text) IS NULL OR EXISTS (SELECT FROM fresh_key))
        RETURNING id, received_bytes, source_info
    ), source AS (
        SELECT CAST(:asset_id AS uuid) AS id, CAST(:source_url AS text) AS source_url,
               CAST(NULL AS uuid) AS upload_id, CAST(NULL AS bigint) AS size_bytes,
               CAST(:declared_bytes AS bigint) AS charged_bytes,
               CAST(:declared_sec AS double precision) AS charged_sec
        WHERE CAST(:upload_id AS uuid) IS NULL
        UNION ALL
        SELECT id, NULL, id, received_bytes, received_bytes,
               coalesce(CAST(source_info ->> 'duration_sec' AS double precision), 0)
        FROM claimed
    ), asset AS (
        INSERT INTO video_assets (
            id, post_id, owner_id, source_url, upload_id, source_size_bytes, declared, title,
            poster_time_sec, playback, allow_original, charged_bytes, charged_sec, max_attempts,
            provider, next_attempt_at, woken_at, deadline_at, last_seq)
        SELECT id, :post_id, :owner_id, source_url, upload_id, size_bytes,
               CAST(:declared AS jsonb), :title, :poster_time_sec, :playback, :allow_original,
               charged_bytes, charged_sec, :max_attempts, :provider, now(), now(),
               now() + make_interval(secs => :wait_deadline_sec), 1
        FROM source
        WHERE (CAST(:key AS text) IS NULL OR EXISTS (SELECT FROM fresh_key))
          AND khronika_enrolled(:owner_id)
        ON CONFLICT DO NOTHING
        RETURNING *
    ), event AS (
        INSERT INTO video_processing_events (
            asset_id, seq, type, to_status, actor, generation, provider, detail)
        SELECT id, 1, 'created', status, :actor, generation, provider,
               jsonb_build_object(
                   'source', CASE WHEN upload_id IS NULL THEN 'url' ELSE 'upload' END,
                   'declared', declared)
        FROM asset
    ), usage AS (
        INSERT INTO owner_usage AS day (owner_id, day, assets, bytes, media_sec)
        SELECT owner_id, CAST(timezone('UTC', now()) AS date), 1, charged_bytes, charged_sec
        FROM asset
        ON CONFLICT (owner_id, day) DO UPDATE
            SET assets = day.assets + 1, bytes = day.bytes + excluded.bytes,
                media_sec = day.media_sec + excluded.media_sec
        RETURNING assets AS day_assets, bytes AS day_bytes, media_sec AS day_media_sec
    )
    SELECT asset.*, usage.*, khronika_live_assets(asset.owner_id) AS live_assets,
           CAST(ceil(86400 - extract(epoch FROM CAST(timezone('UTC', now()) AS time))) AS integer)
               AS resets_in_sec
    FROM asset, usage
""")

OWNER_LOAD = tuple(field.name for field in fields(OwnerLoad))


@dataclass(frozen=True)
class Created:
    """The answer of create.

    Attributes:
        asset: The asset; None on a replay.
        status_code: 202 for a new asset, 200 for one that was already there.
        body: The answer's body; on a replay, the first one.
        readdressed: Whether the request gave a fresh address of the source, which replaced the old.
    """

    asset: Asset | None
    status_code: int
    body: Mapping[str, Any]
    replayed: bool = False
    wake: Wake | None = None
    readdressed: bool = False


def create_asset(
    session: Session,
    request: CreateAsset,
    *,
    provider: str,
    new_videos: NewVideoSettings,
    retry: RetrySettings,
    owner_limits: OwnerLimitSettings,
    actor: str,
    render: Callable[[Asset], dict[str, Any]],
    idempotency: IdempotencyKey | None = None,
) -> Created:
    """Register the source of a post's video and queue it: one statement, two with a key.

    The same post and source again returns the asset as it is; it is never a retry. A fresh address
    of the same file, such as one signed anew, replaces the old one for the next attempt.

    Args:
        session: A session of the owner, or of an operator who registers a video for an owner.
        provider: The account that is preferred for new videos; the claim chooses.
        render: Makes the answer's body, which the key keeps for a replay.

    Raises:
        Conflict: ``post_has_asset``, ``playback_differs``, ``upload_incomplete``,
            ``upload_expired``, ``idempotency_in_flight``. The transaction must not be committed.
        NotFound: ``post_not_found`` (another owner holds the post), ``upload_not_found``.
        Forbidden: ``not_enrolled``. The transaction must not be committed.
        Unprocessable: ``idempotency_mismatch``.
        LimitReached: ``too_many_in_flight``, ``quota_exceeded``, ``owner_busy``. The transaction
            must not be committed.
    """
    asset = _insert(
        session,
        request,
        actor,
        idempotency,
        provider=provider,
        new_videos=new_videos,
        retry=retry,
        owner_limits=owner_limits,
    )
    if asset is not None:
        created = Created(asset, 202, render(asset), wake=wake_submit(asset.id))
    else:
        first = first_answer(session, idempotency)
        if first is not None:
            return Created(None, first.status_code, first.body, replayed=True)
        existing = _existing(session, request)
        is_new = _readdress(session, existing, request.source_url, actor)
        created = Created(existing, 200, render(existing), readdressed=is_new)
    record_answer(session, idempotency, Answer(created.status_code, created.body))
    return created


def _insert(
    session: Session,
    request: CreateAsset,
    actor: str,
    idempotency: IdempotencyKey | None,
    *,
    provider: str,
    new_videos: NewVideoSettings,
    retry: RetrySettings,
    owner_limits: OwnerLimitSettings,
) -> Asset | None:
    parameters = {
        "asset_id": uuid4(),
        "post_id": request.post_id,
        "owner_id": request.owner_id,
        "source_url": request.source_url,
        "upload_id": request.upload_id,
        "declared": json.dumps(dict(request.declared)),
        "title": request.title,
        "poster_time_sec": request.poster_time_sec,
        "playback": (request.playback or new_videos.playback).value,
        "allow_original": request.allow_original,
        "max_attempts": retry.max_attempts,
        "provider": provider,
        "wait_deadline_sec": retry.wait_deadline_sec,
        "actor": actor,
        "declared_bytes": request.declared.get("size_bytes") or 0,
        "declared_sec": request.declared.get("duration_sec") or 0,
        **columns_of(idempotency),
    }
    inserted = select(Asset, *map(column, OWNER_LOAD)).from_statement(INSERT)
    with in_flight_is_a_conflict() if idempotency else owner_is_busy():
        row = session.execute(inserted, parameters).one_or_none()
    if row is None:
        return None
    asset: Asset = row[0]
    refuse_excess(owner_limits, asset, OwnerLoad(*row[1:]))
    return asset


def _existing(session: Session, request: CreateAsset) -> Asset:
    held = session.scalars(
        select(Asset).where(
            Asset.post_id == request.post_id,
            Asset.owner_id == request.owner_id,
            Asset.deleted_at.is_(None),
        )
    ).one_or_none()
    if held is None:
        _refuse_missing_upload(session, request)
        require_enrolled(session, request.owner_id)
        raise NotFound("post_not_found")
    if not _same_source(held, request):
        raise Conflict(
            "post_has_asset",
            "This post already has a video from another source.",
            asset_id=str(held.id),
            status=held.status.value,
        )
    if request.playback not in {None, held.playback}:
        # The playback policy of a video is fixed when it is registered.
        raise Conflict(
            "playback_differs",
            f"This video was registered with {held.playback} playback. "
            "Delete it and register it anew.",
            asset_id=str(held.id),
            playback=held.playback,
        )
    return held


def _readdress(session: Session, held: Asset, url: str | None, actor: str) -> bool:
    """Replace the address of a source by a fresh one; return true if it is another one.

    While an attempt uses the old one it stays: the attempt may repeat its request to the provider,
    which must then be the same.
    """
    if url is None or url == held.source_url:
        return False
    locked = store.lock(session, held.id)  # and `held` is the row as it is now
    if locked is None or held.deleted_at is not None or held.status is Status.PROCESSING:
        return False
    if url == held.source_url:
        return False
    store.advance(session, held, transitions.source_readdressed(url, actor))
    return True


def _refuse_missing_upload(session: Session, request: CreateAsset) -> None:
    if request.upload_id is None:
        return
    found = session.execute(
        select(Upload.completed_at, Upload.expires_at <= func.now()).where(
            Upload.id == request.upload_id,
            Upload.post_id == request.post_id,
            Upload.owner_id == request.owner_id,
        )
    ).one_or_none()
    if found is None:
        raise NotFound("upload_not_found")
    completed_at, is_expired = found
    if completed_at is None and is_expired:
        raise upload_rows.ticket_expired()
    if completed_at is None:
        raise Conflict("upload_incomplete", "Complete the upload first.")


def _same_source(held: Asset, request: CreateAsset) -> bool:
    if request.upload_id is not None:
        return held.upload_id == request.upload_id
    return held.source_url is not None and _bare(held.source_url) == _bare(request.source_url)


def _bare(url: str | None) -> str:
    """Return a URL without query and fragment: signatures in them change with every request."""
    return urlsplit(url or "")._replace(query="", fragment="").geturl()
