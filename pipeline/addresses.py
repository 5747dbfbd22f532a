"""Where things of ours are found: keys in storage, and the URLs that lead to them."""

from datetime import datetime
from hashlib import sha256
from urllib.parse import quote
from uuid import UUID

from pipeline.net.tokens import sign_prefix
from pipeline.settings import Settings

SCHEME = "storage:"
SEGMENT_MAX = 200
"""Below the 255 bytes that file systems allow a name."""


def key_of(address: str) -> str | None:
    """The storage key that ``storage:{key}`` names; None for an absolute URL."""
    return address.removeprefix(SCHEME) if address.startswith(SCHEME) else None


def owner_prefix(owner_id: str) -> str:
    """Where an owner's sources are kept: the id, made one safe path segment."""
    segment = quote(owner_id, safe="").replace(".", "%2E")
    if len(segment) > SEGMENT_MAX:
        segment = f"sha256-{sha256(owner_id.encode()).hexdigest()}"
    return f"original/{segment}/"


def source_key(owner_id: str, post_id: UUID, upload_id: UUID, extension: str) -> str:
    """Where an uploaded source is kept. The upload's id becomes the asset's."""
    return f"{owner_prefix(owner_id)}{post_id}/{upload_id}/source.{extension}"


def output_prefix(asset_id: UUID, attempt_id: UUID) -> str:
    """Where an attempt writes manifest, segments and fallback; no other attempt does."""
    return f"processed/{asset_id}/{attempt_id}"


def poster_prefix(asset_id: UUID, attempt_id: UUID) -> str:
    """Where an attempt writes poster and thumbnail."""
    return f"posters/{asset_id}/{attempt_id}"


def public_url(settings: Settings, address: str | None) -> str | None:
    """What a visitor is given for a ``*_url`` column."""
    if address is None:
        return None
    key = key_of(address)
    return f"{settings.base_url}/media/public/{quote(key)}" if key is not None else address


def signed_url(settings: Settings, key: str, *, expires_at: datetime) -> str:
    """A URL that reads what lies in the folder of ``key``, until ``expires_at``.

    The same arguments give the same URL: a repeated request to a provider must not differ from
    the first.
    """
    prefix = key.rpartition("/")[0]
    token = sign_prefix(settings.secret_key.get_secret_value(), prefix, expires_at=expires_at)
    return f"{settings.base_url}/media/{token}/{quote(key)}"
