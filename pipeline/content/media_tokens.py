"""Tokens for one folder of the media routes, or for one object, with an expiry.

A token is in the path (`/media/{token}/{path}`), so that the relative addresses inside a playlist
keep it. It is readable but cannot be forged. It contains the prefix and the instant of its expiry.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from itsdangerous import BadData, BadSignature

from pipeline.runtime.signed_tokens import read_token, sign_token

_PURPOSE = "khronika.media-prefix.v1"

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


def sign_prefix(key: str, prefix: str, *, expires_at: datetime) -> str:
    """Make a token for every path below a prefix, of characters that a URL allows unescaped.

    Args:
        key: the secret key of the installation.
        prefix: whole path segments, such as `processed/1f…/2a…`, without a slash at either end.
        expires_at: aware; the token opens nothing from this instant.

    Raises:
        ValueError: the prefix is empty or has a segment that is empty or begins with a dot.
    """
    return _sign(key, prefix, expires_at, _BELOW)


def sign_object(key: str, path: str, *, expires_at: datetime) -> str:
    """Make a token for this one path and for no object beside it.

    Raises:
        ValueError: as for `sign_prefix`.
    """
    return _sign(key, path, expires_at, _ALONE)


def _sign(key: str, path: str, expires_at: datetime, reach: str) -> str:
    if _segments(path) is None:
        raise ValueError("a path is whole segments, none empty or beginning with a dot")
    return sign_token(key, [path, int(expires_at.timestamp()), reach], purpose=_PURPOSE)


def verify_prefix(key: str, token: str, path: str, *, now: datetime) -> datetime:
    """Check that a token opens a path. The path has been percent-decoded exactly once.

    Returns:
        The instant at which the token expires.

    Raises:
        TokenRejected: see `TokenRejection`.
    """
    signed, expires_at, reach = _read(key, token)
    if now >= expires_at:
        raise TokenRejected(TokenRejection.EXPIRED)
    allowed, asked = _segments(signed), _segments(path)
    if allowed is None or asked is None or not _opens(allowed, asked, reach):
        raise TokenRejected(TokenRejection.OUTSIDE_PREFIX)
    return expires_at


def _opens(allowed: list[str], asked: list[str], reach: str) -> bool:
    if reach == _ALONE:
        return asked == allowed
    return len(asked) > len(allowed) and asked[: len(allowed)] == allowed


def _read(key: str, token: str) -> tuple[str, datetime, str]:
    try:
        payload: Any = read_token(key, token, purpose=_PURPOSE)
    except BadSignature as error:
        raise TokenRejected(TokenRejection.BAD_SIGNATURE) from error
    except BadData as error:
        raise TokenRejected(TokenRejection.MALFORMED) from error
    match payload:
        case [str(path), int(expires_at), ("below" | "alone") as reach]:
            return path, datetime.fromtimestamp(expires_at, UTC), reach
        case _:
            raise TokenRejected(TokenRejection.MALFORMED)


def _segments(path: str) -> list[str] | None:
    """Return the segments of a path; None if it could lead to another place than it spells."""
    segments = path.split("/")
    if "\\" in path or any(not segment or segment.startswith(".") for segment in segments):
        return None
    return segments
