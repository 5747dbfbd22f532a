"""Withdrawal of a video from the places that no row decides about: storage and a CDN.

The API answers 404 from the commit of the change on. What remains is an object in S3 that an
address handed out before still opens, and copies in a CDN. Both are removed here, at once, and
tried again until that has succeeded.
"""

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import requests
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from pipeline.config.cdn_settings import ASSET_PLACE, CdnSettings
from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.object_urls import (
    FILE_NAMES,
    PUBLIC_PREFIXES,
    attempt_prefixes,
    output_url,
    surrogate_key,
)
from pipeline.domain.values import Playback
from pipeline.net.signatures import sign
from pipeline.operations.purge import give_up_outputs, source_prefix
from pipeline.records import store
from pipeline.records.cache_purges import defer_purges, settle_purges, take_purges
from pipeline.records.models import Asset, Attempt, CachePurge
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services

FILES_GO = frozenset({"deleted", "cancelled"})
"""Reasons for which the files go too. After the others they still serve viewers with a right."""

REASONS = ("deleted", "cancelled", "signed", "replaced")
"""Reasons of purges, the gravest first: one request has one reason."""


class PurgeRefused(Exception):
    """The CDN did not confirm a purge; it is tried again."""


def withdraw(services: Services, asset_id: UUID) -> Outcome:
    """Pay the purges that this video owes. Safe to run twice: removing what is gone succeeds."""
    with session_of(services.engine) as session:
        purges = take_purges(session, asset_id)
    if not purges:
        return Outcome("nothing_owed")
    try:
        if any(purge.reason in FILES_GO for purge in purges):
            _remove_files(services, asset_id)
        _purge_cdn(services, asset_id, purges)
    except (PurgeRefused, OSError, requests.RequestException) as error:
        with session_of(services.engine) as session:
            defer_purges(session, purges, _plainly(error))
        return Outcome(f"waiting: {_plainly(error)}")
    with session_of(services.engine) as session:
        settle_purges(session, purges)
    return Outcome(f"purged after {', '.join(sorted({purge.reason for purge in purges}))}")


def _plainly(error: Exception) -> str:
    """Return the words of an error, without an address that may hold a token."""
    return str(error) if isinstance(error, PurgeRefused) else type(error).__name__


def _remove_files(services: Services, asset_id: UUID) -> None:
    """Remove the files of discarded attempts now; the daily purge repeats it for late writers."""
    with session_of(services.engine) as session:
        locked = store.lock(session, asset_id)
        if locked is None:
            return
        prefixes = [
            prefix
            for attempt_id in _marked(session, locked.asset)
            for prefix in attempt_prefixes(asset_id, attempt_id)
        ]
        source = source_prefix(locked.asset) if locked.asset.deleted_at is not None else None
    for prefix in [*prefixes, *([source] if source else [])]:
        services.storage.delete_prefix(prefix)


def _marked(session: Session, asset: Asset) -> Sequence[UUID]:
    """Mark the attempts whose files go, and their outputs, so that none is published any more."""
    conditions: list[ColumnElement[bool]] = [Attempt.asset_id == asset.id]
    if asset.deleted_at is None:
        conditions += [Attempt.generation == asset.generation, Attempt.purge_at.is_not(None)]
    found: Sequence[UUID] = session.scalars(
        update(Attempt)
        .where(*conditions)
        .values(purged_at=func.coalesce(Attempt.purged_at, func.now()))
        .returning(Attempt.id)
        .execution_options(synchronize_session=False)
    ).all()
    give_up_outputs(session, found)
    return found


def _purge_cdn(services: Services, asset_id: UUID, purges: Sequence[CachePurge]) -> None:
    """Send one request for all these purges of a video to the CDN, if it may have copies.

    Raises:
        PurgeRefused: It answered with anything but success.
        requests.RequestException: It did not answer.
    """
    cdn = services.settings.cdn
    reasons = {purge.reason for purge in purges}
    if cdn.purge_url is None or not _may_be_cached(services, asset_id, reasons):
        return
    reason = min(reasons, key=REASONS.index)
    body = json.dumps(_document(services.settings.media_urls, asset_id, reason)).encode()
    with requests.Session() as http:
        http.trust_env = False
        answer = http.post(
            cdn.purge_url.replace(ASSET_PLACE, str(asset_id)),
            data=body,
            headers=_headers(cdn, _request_id(purges), body),
            timeout=cdn.purge_timeout_sec,
            allow_redirects=False,
            stream=True,
        )
        answer.close()
    if not HTTPStatus.OK <= answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
        raise PurgeRefused(f"the CDN answered {answer.status_code}")


def _may_be_cached(services: Services, asset_id: UUID, reasons: AbstractSet[str]) -> bool:
    """Return false for a video that is signed and was so before all that is withdrawn now.

    Its answers were ``private, no-store``. A video that has become signed owes a purge of its own
    for that change.
    """
    if "signed" in reasons:
        return True
    with session_of(services.engine) as session:
        playback = session.scalars(select(Asset.playback).where(Asset.id == asset_id)).one_or_none()
    return playback != Playback.SIGNED


def _request_id(purges: Sequence[CachePurge]) -> str:
    """Return the id of the newest purge: a request for more purges than before has another id."""
    return str(max(purges, key=lambda purge: (purge.created_at, purge.id)).id)


def _document(urls: MediaUrlSettings, asset_id: UUID, reason: str) -> dict[str, Any]:
    """Return the body of a request. Its size does not depend on the number of attempts."""
    return {
        "asset_id": str(asset_id),
        "reason": reason,
        "surrogate_key": surrogate_key(asset_id),
        "urls": [output_url(urls, asset_id, name, expires_at=None) for name in FILE_NAMES],
        "prefixes": [f"{urls.base_url}/media/public/{root}{asset_id}/" for root in PUBLIC_PREFIXES],
    }


def _headers(cdn: CdnSettings, request_id: str, body: bytes) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if cdn.purge_secret is not None:
        secret = cdn.purge_secret.get_secret_value()
        headers |= sign(secret, request_id, datetime.now(UTC), body)
    if cdn.purge_token is not None:
        headers["Authorization"] = f"Bearer {cdn.purge_token.get_secret_value()}"
    return headers
