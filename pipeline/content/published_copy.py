"""The published MP4 of a video, as the source of its move to another account.

The original is better: an encode of an encode loses quality. So the MP4 is used only if the
original is gone. It lies at the old account's vendor, or in our storage.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipeline.content.gate import DURATION_TOLERANCE, DURATION_TOLERANCE_SEC
from pipeline.content.object_urls import key_of
from pipeline.content.source import Source, SourceRefused, check_stored, locate, measure
from pipeline.domain.values import Playback
from pipeline.media.source_info import Measured
from pipeline.net.fetch import FetchRefused, Version
from pipeline.net.responses import check_version
from pipeline.providers.base import OutputKind
from pipeline.records.models import Asset, Attempt, Output
from pipeline.runtime.database import session_of
from pipeline.services import Services
from pipeline.storage.base import KeyRefused, ObjectMissing

GONE = frozenset({"source_unreachable", "source_changed"})
"""Codes of an original that is not there any more, unless the refusal may pass."""


class Origin(StrEnum):
    """The file that a video would be made from."""

    ORIGINAL = "original"
    COPY = "copy"
    """The published MP4: the original is gone, or cannot be read now."""
    NONE = "none"
    """Neither can be read: the encode would fail."""


def origin_of(services: Services, asset_id: UUID) -> Origin:
    """Look for the file that a move would read, without reading its content."""
    with session_of(services.engine) as session:
        asset = session.get_one(Asset, asset_id)
        now = session.scalars(select(func.clock_timestamp())).one()
        original, copy = locate(session, asset), copy_of(services, session, asset, now)
    if _is_there(services, original, Version(asset.source_size_bytes, asset.source_etag)):
        return Origin.ORIGINAL
    is_there = copy is not None and _is_there(services, copy, None)
    return Origin.COPY if is_there else Origin.NONE


def copy_of(services: Services, session: Session, asset: Asset, begin: datetime) -> Source | None:
    """Return the place of the published MP4; None if there is none that we may read.

    Args:
        begin: The right to read it at a vendor lasts from this instant for as long as that of a
            source in our storage.
    """
    row = session.execute(
        select(Output.fallback_url, Attempt.provider)
        .join(Attempt, Attempt.id == Output.attempt_id)
        .where(Output.id == asset.published_output_id)
    ).one_or_none()
    if row is None or row.fallback_url is None:
        return None
    key = key_of(row.fallback_url)
    if key is not None:
        return Source(key, None, asset.owner_id, copied_from=row.provider)
    if asset.playback != Playback.SIGNED:
        return Source(None, row.fallback_url, asset.owner_id, copied_from=row.provider)
    provider = services.providers.get(row.provider)
    if provider is None or not provider.capabilities.signs_addresses:
        return None
    lifetime = timedelta(seconds=services.settings.media_urls.token_expires_sec)
    url = provider.sign(row.fallback_url, OutputKind.FALLBACK, begin + lifetime)
    return Source(None, url, asset.owner_id, copied_from=row.provider)


def measure_copy(
    services: Services,
    asset: Asset,
    source: Source,
    *,
    on_bytes: Callable[[int], None] | None = None,
) -> Measured:
    """Probe a copy, and require it to last as long as the original, or else the video.

    Raises:
        SourceRefused: It cannot be used.
    """
    measured = measure(services, source, pinned=None, on_bytes=on_bytes)
    original = asset.source_info or {}
    expected_sec = original.get("duration_sec") or asset.duration_sec or 0.0
    tolerance_sec = max(DURATION_TOLERANCE_SEC, DURATION_TOLERANCE * expected_sec)
    if abs(measured.info.duration_sec - expected_sec) > tolerance_sec:
        raise SourceRefused(
            "source_changed",
            f"the copy lasts {measured.info.duration_sec:.2f} s, the video {expected_sec:.2f} s",
        )
    return measured


def _is_there(services: Services, source: Source, pinned: Version | None) -> bool:
    try:
        if source.key is not None:
            stat = services.storage.stat(source.key)
            check_stored(stat, pinned)
            return stat.size_bytes > 0
        assert source.url is not None
        check_version(services.fetcher.size_of(source.url), pinned)
    except (FetchRefused, ObjectMissing, KeyRefused, OSError):
        return False
    return True
