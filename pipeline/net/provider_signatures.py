"""Verification of callbacks of providers that have their own signature schemes.

Each signature is HMAC-SHA256 in hex; the key is the secret as written. No scheme signs an event id:
the id that detects a repeated callback is read from the verified body. A vendor that signs nothing
sends the secret itself in a header.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.net.signatures import (
    Rejection,
    SecretMalformed,
    SignatureRejected,
    any_matches,
    read_sent_at,
)


@dataclass(frozen=True)
class _Timed:
    """A header of entries `name=value`, separated by commas: one time and some signatures."""

    header: str
    time: str
    signature: str


_MUX = _Timed("mux-signature", "t", "v1")
_CLOUDFLARE_STREAM = _Timed("webhook-signature", "time", "sig1")
_API_VIDEO_HEADER = "x-api-video-signature"
_OPAQUE_SECRET = re.compile(r"[\x21-\x7e]{1,255}")
_MAX_HEADER_CHARS = 1024  # a time and the eight signatures that are compared have 560


def verify_mux(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance_sec: int = 300,
) -> datetime:
    """Check a callback of Mux Video: `Mux-Signature: t=…,v1=…`, over `time.body`.

    One valid `v1` of several suffices, and the tolerance is 300 s, as in Mux's own libraries
    (mux-node-sdk, `webhooks.js`). Unlike them, this also refuses a time in the future.

    Args:
        headers: headers of the request; names in any case.
        body: raw bytes, before any parsing.
        secrets: all secrets that are valid now; without one, every callback is refused.
        now: current time, aware.
        tolerance_sec: largest difference of the sender's clock, in both directions.

    Returns:
        The time of sending, in UTC.

    Raises:
        SignatureRejected: see `Rejection`.
        SecretMalformed: one of our own secrets is empty.
    """
    return _verify_timed(_MUX, headers, body, secrets, now=now, tolerance_sec=tolerance_sec)


def verify_cloudflare_stream(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance_sec: int = 300,
) -> datetime:
    """Check a callback of Cloudflare Stream: `Webhook-Signature: time=…,sig1=…`, over `time.body`.

    The vendor leaves the tolerance to the receiver. Arguments and errors: see `verify_mux`.
    """
    return _verify_timed(
        _CLOUDFLARE_STREAM, headers, body, secrets, now=now, tolerance_sec=tolerance_sec
    )


def verify_api_video(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> None:
    """Check a callback of api.video: `X-Api-Video-Signature`, over the body alone.

    No time is signed, so a replayed callback verifies as long as its secret is valid; the inbox
    detects the repetition. Arguments and errors: see `verify_mux`.
    """
    signature = _header(headers, _API_VIDEO_HEADER)
    _check_signature([signature], body, secrets)


def verify_secret_header(headers: Mapping[str, str], name: str, secrets: Sequence[str]) -> None:
    """Check a callback that is not signed and carries a secret of ours in a header.

    The comparisons take the same time for any matching secret and for none.

    Raises:
        SignatureRejected: see `Rejection`.
    """
    if not any_matches([_header(headers, name)], (secret.encode() for secret in secrets)):
        raise SignatureRejected(Rejection.BAD_SIGNATURE)


def check_opaque_secret(secret: str) -> None:
    """Refuse a text that cannot be a vendor's secret.

    Raises:
        SecretMalformed: it is empty, or has a space or a character beyond ASCII.
    """
    if _OPAQUE_SECRET.fullmatch(secret) is None:
        raise SecretMalformed("a webhook secret is printable ASCII without spaces")


def _verify_timed(
    scheme: _Timed,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance_sec: int,
) -> datetime:
    entries = [entry.partition("=") for entry in _header(headers, scheme.header).split(",")]
    stamps = [value for name, _, value in entries if name == scheme.time]
    if len(stamps) != 1:  # of two times, some readers take the first, others the last
        raise SignatureRejected(Rejection.MALFORMED_TIMESTAMP)
    sent_at = read_sent_at(stamps[0], now, tolerance_sec)
    offered = [value for name, _, value in entries if name == scheme.signature]
    _check_signature(offered, f"{stamps[0]}.".encode() + body, secrets)
    return sent_at


def _header(headers: Mapping[str, str], name: str) -> str:
    value = {key.lower(): value for key, value in headers.items()}.get(name)
    if not value:
        raise SignatureRejected(Rejection.MISSING_HEADER)
    if len(value) > _MAX_HEADER_CHARS:
        raise SignatureRejected(Rejection.BAD_SIGNATURE)
    return value


def _check_signature(offered: Sequence[str], content: bytes, secrets: Sequence[str]) -> None:
    if not any_matches(offered, _digests(content, secrets)):
        raise SignatureRejected(Rejection.BAD_SIGNATURE)


def _digests(content: bytes, secrets: Sequence[str]) -> Iterator[bytes]:
    for secret in secrets:
        if not secret:
            raise SecretMalformed("a webhook secret is not empty")
        yield hmac.digest(secret.encode(), content, hashlib.sha256).hex().encode()
