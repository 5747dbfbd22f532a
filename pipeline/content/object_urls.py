"""Addresses of our objects: keys in storage, and the URLs that lead to them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from urllib.parse import quote
from uuid import UUID

from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.media_tokens import NO_HOLDER, TokenHolder, sign_object, sign_prefix
from pipeline.domain.values import Playback

SCHEME = "storage:"
PUBLIC_PREFIXES = ("processed/", "posters/")
"""Prefixes that every reader may read while the video is published. Sources (``original/``) are not
among them."""
PROTECTED = "protected/"
"""Root of the outputs of signed assets. The policy is in the key, so that a CDN or a bucket policy
can enforce it too."""
STABLE = "videos"
"""First segment of the stable addresses of outputs. No storage key begins with it."""
FILE_NAMES: Mapping[str, str] = {
    "manifest_url": "manifest.m3u8",
    "fallback_url": "video.mp4",
    "poster_url": "poster.jpg",
    "thumbnail_url": "thumbnail.jpg",
    "storyboard_url": "storyboard.vtt",
}
"""File names of the stable addresses, by field of the outputs."""
SEGMENT_MAX = 200
"""Longest segment: file systems allow 255 bytes for a name."""


def key_of(address: str) -> str | None:
    """Return the key of an address ``storage:{key}``; None for an absolute URL."""
    return address.removeprefix(SCHEME) if address.startswith(SCHEME) else None


def owner_prefix(owner_id: str) -> str:
    """Return the prefix of an owner's sources: the id as one safe path segment."""
    segment = quote(owner_id, safe="").replace(".", "%2E")
    if len(segment) > SEGMENT_MAX:
        # The dot distinguishes a digest: in the segment of an id every dot is escaped.
        segment = f"sha256.{sha256(owner_id.encode()).hexdigest()}"
    return f"original/{segment}/"


def source_key(owner_id: str, post_id: UUID, upload_id: UUID, extension: str) -> str:
    """Return the key of an uploaded source. The upload's id becomes the asset's."""
    return f"{owner_prefix(owner_id)}{post_id}/{upload_id}/source.{extension}"


def output_prefix(asset_id: UUID, attempt_id: UUID, playback: Playback) -> str:
    """Return the prefix for manifest, segments and fallback of one attempt and of no other."""
    return f"{_root(playback)}processed/{asset_id}/{attempt_id}"


def poster_prefix(asset_id: UUID, attempt_id: UUID, playback: Playback) -> str:
    """Return the prefix for an attempt's pictures. The policy protects them like segments."""
    return f"{_root(playback)}posters/{asset_id}/{attempt_id}"


def owner_of_output(key: str) -> TokenHolder | None:
    """Return the asset and the attempt whose output or picture a key names; None for others."""
    root, *ids = key.removeprefix(PROTECTED).split("/")
    if f"{root}/" not in PUBLIC_PREFIXES or len(ids) <= 2:  # noqa: PLR2004 - asset, attempt, file
        return None
    try:
        return TokenHolder(UUID(ids[0]), UUID(ids[1]))
    except ValueError:
        return None


def attempt_prefixes(asset_id: UUID, attempt_id: UUID) -> list[str]:
    """Return every prefix that an attempt may have written to, under either policy."""
    return [
        prefix(asset_id, attempt_id, playback)
        for playback in Playback
        for prefix in (output_prefix, poster_prefix)
    ]


def _root(playback: Playback) -> str:
    return PROTECTED if playback is Playback.SIGNED else ""


def playback_ends_at(now: datetime, lifetime_sec: int) -> datetime:
    """Return the expiry of addresses that are given out at ``now``: a lifetime later or more.

    It is rounded up to a quarter of the lifetime. Within a quarter the same address is given again,
    so that caches and ETags stay valid.
    """
    quarter_sec = lifetime_sec / 4
    quarters = ceil((now.timestamp() + lifetime_sec) / quarter_sec)
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=quarters * quarter_sec)


def output_url(
    urls: MediaUrlSettings,
    asset_id: UUID,
    field: str,
    *,
    expires_at: datetime | None,
    key_id: UUID | None = None,
) -> str:
    """Return the stable address of an asset's published output, which pages and sites get.

    It outlives a re-encode and a move to another provider: the route looks the output up.

    Args:
        field: One of ``ADDRESS_FIELDS``.
        expires_at: Expiry of the address; None for a public asset, whose addresses do not expire.
        key_id: The API key that is given the address, which ends with the key.
    """
    folder = output_folder(asset_id)
    prefix = folder
    if expires_at is not None:
        holder = TokenHolder(asset_id, key_id=key_id)
        token = sign_prefix(urls.key, folder, expires_at=expires_at, holder=holder)
        prefix = f"{token}/{folder}"
    return f"{urls.base_url}/media/{prefix}/{FILE_NAMES[field]}"


def surrogate_key(asset_id: UUID) -> str:
    """Return the key by which a CDN finds every copy of an asset's public media."""
    return f"asset-{asset_id}"


def output_folder(asset_id: UUID) -> str:
    """Return the folder of an asset's stable addresses, which a token covers."""
    return f"{STABLE}/{asset_id}"


def stored_url(
    urls: MediaUrlSettings,
    key: str,
    *,
    expires_at: datetime | None,
    holder: TokenHolder = NO_HOLDER,
) -> str:
    """Return the address of an output in our storage, for a redirect from a stable address.

    Args:
        expires_at: Expiry of the address; None for a public asset, whose addresses do not expire.
    """
    if expires_at is not None:
        return signed_url(urls, key, expires_at=expires_at, holder=holder)
    return f"{urls.base_url}/media/public/{quote(key)}"


def signed_url(
    urls: MediaUrlSettings, key: str, *, expires_at: datetime, holder: TokenHolder = NO_HOLDER
) -> str:
    """Return a URL of ``key`` whose token opens the folder of ``key`` until ``expires_at``.

    The same arguments give the same URL: a repeated request to a provider must not differ from
    the first.
    """
    prefix = key.rpartition("/")[0]
    token = sign_prefix(urls.key, prefix, expires_at=expires_at, holder=holder)
    return f"{urls.base_url}/media/{token}/{quote(key)}"


def object_url(
    urls: MediaUrlSettings, key: str, *, expires_at: datetime, holder: TokenHolder
) -> str:
    """Return a URL whose token opens this one object until ``expires_at`` or its holder's end."""
    token = sign_object(urls.key, key, expires_at=expires_at, holder=holder)
    return f"{urls.base_url}/media/{token}/{quote(key)}"
