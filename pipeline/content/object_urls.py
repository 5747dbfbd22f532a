"""Where things of ours are found: keys in storage, and the URLs that lead to them."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from urllib.parse import quote
from uuid import UUID

from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.media_tokens import sign_object, sign_prefix
from pipeline.domain.values import Playback

SCHEME = "storage:"
PUBLIC_PREFIXES = ("processed/", "posters/")
"""What everybody may read, for ever. Sources (``original/``) are never among it."""
PROTECTED = "protected/"
"""Root of what signed assets publish. The policy is in the key, so that a segment costs no look at
the database, and so that a CDN or a bucket policy can enforce it too."""
SEGMENT_MAX = 200
"""Below the 255 bytes that file systems allow a name."""


def key_of(address: str) -> str | None:
    """The storage key that ``storage:{key}`` names; None for an absolute URL."""
    return address.removeprefix(SCHEME) if address.startswith(SCHEME) else None


def owner_prefix(owner_id: str) -> str:
    """Where an owner's sources are kept: the id, made one safe path segment."""
    segment = quote(owner_id, safe="").replace(".", "%2E")
    if len(segment) > SEGMENT_MAX:
        # With a dot, which the segment of no id that stands for itself has.
        segment = f"sha256.{sha256(owner_id.encode()).hexdigest()}"
    return f"original/{segment}/"


def source_key(owner_id: str, post_id: UUID, upload_id: UUID, extension: str) -> str:
    """Where an uploaded source is kept. The upload's id becomes the asset's."""
    return f"{owner_prefix(owner_id)}{post_id}/{upload_id}/source.{extension}"


def output_prefix(asset_id: UUID, attempt_id: UUID, playback: Playback) -> str:
    """Where an attempt writes manifest, segments and fallback; no other attempt does."""
    return f"{_root(playback)}processed/{asset_id}/{attempt_id}"


def poster_prefix(asset_id: UUID, attempt_id: UUID, playback: Playback) -> str:
    """Where an attempt writes the pictures: a poster is content as much as a segment is."""
    return f"{_root(playback)}posters/{asset_id}/{attempt_id}"


def attempt_prefixes(asset_id: UUID, attempt_id: UUID) -> list[str]:
    """Every folder an attempt may have written to, under whichever policy."""
    return [
        prefix(asset_id, attempt_id, playback)
        for playback in Playback
        for prefix in (output_prefix, poster_prefix)
    ]


def _root(playback: Playback) -> str:
    return PROTECTED if playback is Playback.SIGNED else ""


def playback_ends_at(now: datetime, lifetime_sec: int) -> datetime:
    """When addresses given out at ``now`` end: after a lifetime at the least.

    Rounded up to a quarter of the lifetime, so that within such a quarter the same address is
    given again, and caches and ETags hold.
    """
    quarter_sec = lifetime_sec / 4
    quarters = ceil((now.timestamp() + lifetime_sec) / quarter_sec)
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=quarters * quarter_sec)


def playback_url(
    urls: MediaUrlSettings, address: str | None, *, expires_at: datetime | None
) -> str | None:
    """What a viewer is given for a ``*_url`` column.

    Args:
        expires_at: Until when it is to work; None for a public asset's, which work for ever.
    """
    key = key_of(address) if address is not None else None
    if key is None:
        return address
    if expires_at is not None:
        return signed_url(urls, key, expires_at=expires_at)
    return f"{urls.base_url}/media/public/{quote(key)}"


def signed_url(urls: MediaUrlSettings, key: str, *, expires_at: datetime) -> str:
    """A URL that reads what lies in the folder of ``key``, until ``expires_at``.

    The same arguments give the same URL: a repeated request to a provider must not differ from
    the first.
    """
    prefix = key.rpartition("/")[0]
    token = sign_prefix(urls.key, prefix, expires_at=expires_at)
    return f"{urls.base_url}/media/{token}/{quote(key)}"


def object_url(urls: MediaUrlSettings, key: str, *, expires_at: datetime) -> str:
    """A URL that reads this one object and nothing beside it, until ``expires_at``."""
    token = sign_object(urls.key, key, expires_at=expires_at)
    return f"{urls.base_url}/media/{token}/{quote(key)}"
