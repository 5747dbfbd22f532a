"""Tokens for one folder of the media routes, or for one object, with an expiry and a holder.

A token is in the path (`/media/{token}/{path}`), so that the relative addresses inside a playlist
keep it. It is readable but cannot be forged. It contains the prefix, the instant of its expiry and
the rows on which it depends: the route asks the database about them with every request, so that a
token ends with its video, its attempt or its API key.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from itsdangerous import BadData, BadSignature

from pipeline.runtime.signed_tokens import Keys, read_token, sign_token

_PURPOSE = "khronika.media-prefix.v2"

_BELOW, _ALONE = "below", "alone"
"""Reach of a token: everything below its path, or the path alone."""


class TokenRejection(StrEnum):
    """Reasons for which a token does not open a path."""

    BAD_SIGNATURE = "bad_signature"  # forged, cut, or signed with another key
    MALFORMED = "malformed"  # signed by us, but not a token of this kind
    EXPIRED = "expired"
    OUTSIDE_PREFIX = "outside_prefix"


class TokenRejected(Exception):
    """The token does not open the path.

    Attributes:
        reason: one of `TokenRejection`.
    """

    def __init__(self, reason: TokenRejection) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class TokenHolder:
    """The rows on which a token depends.

    Attributes:
        asset_id: The video; None where the path names it.
        attempt_id: The attempt of a provider or of the gate; None for viewers.
        key_id: The API key that the address was given to; None for a person or a worker.
    """

    asset_id: UUID | None = None
    attempt_id: UUID | None = None
    key_id: UUID | None = None


NO_HOLDER = TokenHolder()


@dataclass(frozen=True)
class MediaGrant:
    """The content of a verified token."""

    expires_at: datetime
    holder: TokenHolder


def sign_prefix(
    key: str, prefix: str, *, expires_at: datetime, holder: TokenHolder = NO_HOLDER
) -> str:
    """Make a token for every path below a prefix, of characters that a URL allows unescaped.

    Args:
        key: the secret key of the installation.
        prefix: whole path segments, such as `processed/1f…/2a…`, without a slash at either end.
        expires_at: aware; the token opens nothing from this instant.
        holder: the rows on which the token depends.

    Raises:
        ValueError: the prefix is empty or has a segment that is empty or begins with a dot.
    """
    return _sign(key, prefix, expires_at, _BELOW, holder)


def sign_object(
    key: str, path: str, *, expires_at: datetime, holder: TokenHolder = NO_HOLDER
) -> str:
    """Make a token for this one path and for no object beside it.

    Raises:
        ValueError: as for `sign_prefix`.
    """
    return _sign(key, path, expires_at, _ALONE, holder)


def _sign(key: str, path: str, expires_at: datetime, reach: str, holder: TokenHolder) -> str:
    if _segments(path) is None:
        raise ValueError("a path is whole segments, none empty or beginning with a dot")
    rows = [_hex(holder.asset_id), _hex(holder.attempt_id), _hex(holder.key_id)]
    return sign_token(key, [path, int(expires_at.timestamp()), reach, rows], purpose=_PURPOSE)


def _hex(row_id: UUID | None) -> str | None:
    return None if row_id is None else row_id.hex


def verify_prefix(keys: Keys, token: str, path: str, *, now: datetime) -> MediaGrant:
    """Check that a token opens a path. The path has been percent-decoded exactly once.

    Returns:
        The content of the token, whose holder the caller checks against the rows.

    Raises:
        TokenRejected: see `TokenRejection`.
    """
    signed, reach, grant = _read(keys, token)
    if now >= grant.expires_at:
        raise TokenRejected(TokenRejection.EXPIRED)
    allowed, asked = _segments(signed), _segments(path)
    if allowed is None or asked is None or not _opens(allowed, asked, reach):
        raise TokenRejected(TokenRejection.OUTSIDE_PREFIX)
    return grant


def _opens(allowed: list[str], asked: list[str], reach: str) -> bool:
    if reach == _ALONE:
        return asked == allowed
    return len(asked) > len(allowed) and asked[: len(allowed)] == allowed


def _read(keys: Keys, token: str) -> tuple[str, str, MediaGrant]:
    try:
        payload: Any = read_token(keys, token, purpose=_PURPOSE)
    except BadSignature as error:
        raise TokenRejected(TokenRejection.BAD_SIGNATURE) from error
    except BadData as error:
        raise TokenRejected(TokenRejection.MALFORMED) from error
    match payload:
        case [str(path), int(expires_at), ("below" | "alone") as reach, [asset, attempt, key]]:
            holder = TokenHolder(_id(asset), _id(attempt), _id(key))
            return path, reach, MediaGrant(datetime.fromtimestamp(expires_at, UTC), holder)
        case _:
            raise TokenRejected(TokenRejection.MALFORMED)


def _id(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _segments(path: str) -> list[str] | None:
    """Return the segments of a path; None if it could lead to another place than it spells."""
    segments = path.split("/")
    if "\\" in path or any(not segment or segment.startswith(".") for segment in segments):
        return None
    return segments
