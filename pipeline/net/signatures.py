"""Signing and verifying callbacks by the Standard Webhooks scheme.

The signature is HMAC-SHA256 over `id.timestamp.body`, base64, in a list of `v1,…` entries
(https://github.com/standard-webhooks/standard-webhooks, spec §Signature scheme). The id and the
time are under the signature, so neither can be changed to pass a callback off as another or as
fresh. Repetition is not detected here: the receiver's unique event id does that.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

HEADER_ID = "webhook-id"
HEADER_TIMESTAMP = "webhook-timestamp"
HEADER_SIGNATURE = "webhook-signature"

MAX_ACTIVE_SECRETS = 2
"""Of one account: the current one, and the one it replaces. A third would be one forgotten."""
_MAX_SIGNATURES = 8  # a sender signs with one secret, or two while it rotates

_SECRET_PREFIX = "whsec_"  # noqa: S105  # the scheme's public prefix, not a secret
_VERSION = "v1"
_ID = re.compile(r"[\x21-\x7e]{1,255}")  # it becomes a key in our inbox
_TIMESTAMP = re.compile(r"[0-9]{1,11}")  # whole seconds, up to the year 5138


class Rejection(StrEnum):
    """Why a callback is not believed."""

    MISSING_HEADER = "missing_header"  # or an id that is empty, too long, or not printable ASCII
    MALFORMED_TIMESTAMP = "malformed_timestamp"
    STALE_TIMESTAMP = "stale_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    BAD_SIGNATURE = "bad_signature"


class SignatureRejected(Exception):
    """The callback did not come from a holder of a secret, or not in time.

    Attributes:
        reason: one of `Rejection`; safe to log, not meant for the sender.
    """

    def __init__(self, reason: Rejection) -> None:
        super().__init__(reason.value)
        self.reason = reason


class SecretMalformed(ValueError):
    """A configured secret is not one that its scheme has: empty, or no base64 where it must be."""


@dataclass(frozen=True)
class Signed:
    """A callback whose signature holds."""

    id: str
    timestamp: datetime  # when it was sent (each try anew), in UTC


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance_sec: int = 300,
) -> Signed:
    """Check a callback against every secret in use.

    The comparisons take the same time whichever secret matches, or none.

    Args:
        headers: of the request; names in any case.
        body: the raw bytes, before any parsing.
        secrets: all that are valid now, so that they can be rotated; none means none is believed.
        now: the clock, aware.
        tolerance_sec: how far the sender's clock may be off, either way; 300 s is what the
            scheme's own libraries use.

    Raises:
        SignatureRejected: see `Rejection`.
        SecretMalformed: one of our own secrets cannot be used.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    event_id = lowered.get(HEADER_ID, "")
    stamp = lowered.get(HEADER_TIMESTAMP, "")
    signature = lowered.get(HEADER_SIGNATURE, "")
    if not (_ID.fullmatch(event_id) and stamp and signature):
        raise SignatureRejected(Rejection.MISSING_HEADER)
    sent_at = read_sent_at(stamp, now, tolerance_sec)
    if not _matches(signature, _content(event_id, stamp, body), secrets):
        raise SignatureRejected(Rejection.BAD_SIGNATURE)
    return Signed(event_id, sent_at)


def check_secret(secret: str) -> None:
    """Refuse what cannot be a secret of callbacks.

    Raises:
        SecretMalformed: it is not base64, with or without `whsec_`, or has no byte.
    """
    _key(secret)


def sign(secret: str, event_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a callback.

    Args:
        secret: base64, with or without `whsec_`.
        event_id: the same for every try of one callback; 1 to 255 printable ASCII characters.
        timestamp: of this try, aware; fractions of a second are dropped.
        body: exactly the bytes that will be sent.

    Raises:
        SecretMalformed: the secret is not base64.
        ValueError: the id is not one that `verify` would take.
    """
    if not _ID.fullmatch(event_id):
        raise ValueError("a callback's id has 1 to 255 printable ASCII characters")
    stamp = str(int(timestamp.timestamp()))
    digest = _digest(_key(secret), _content(event_id, stamp, body))
    return {
        HEADER_ID: event_id,
        HEADER_TIMESTAMP: stamp,
        HEADER_SIGNATURE: f"{_VERSION},{digest.decode()}",
    }


def read_sent_at(stamp: str, now: datetime, tolerance_sec: int) -> datetime:
    """Read when a callback was sent, in whole seconds since 1970.

    Raises:
        SignatureRejected: it is no such number, or further from now than the tolerance.
    """
    if not _TIMESTAMP.fullmatch(stamp):
        raise SignatureRejected(Rejection.MALFORMED_TIMESTAMP)
    sent_at = datetime.fromtimestamp(int(stamp), UTC)
    age_sec = (now - sent_at).total_seconds()
    if age_sec > tolerance_sec:
        raise SignatureRejected(Rejection.STALE_TIMESTAMP)
    if age_sec < -tolerance_sec:
        raise SignatureRejected(Rejection.FUTURE_TIMESTAMP)
    return sent_at


def any_matches(offered: Sequence[str], expected: Iterable[bytes]) -> bool:
    """Whether one of the signatures offered is one of those expected.

    All are compared, whichever matches. Of more than a sender has use for none counts: they are
    work for us that costs the sender nothing.
    """
    if len(offered) > _MAX_SIGNATURES:
        return False
    theirs = [signature.encode("utf-8", "surrogatepass") for signature in offered]
    matched = False
    for ours in expected:
        for signature in theirs:
            matched |= hmac.compare_digest(ours, signature)  # no early exit: time tells nothing
    return matched


def _matches(header: str, content: bytes, secrets: Sequence[str]) -> bool:
    entries = (entry.partition(",") for entry in header.split(" "))
    offered = [value for version, _, value in entries if version == _VERSION]
    return any_matches(offered, (_digest(_key(secret), content) for secret in secrets))


def _content(event_id: str, stamp: str, body: bytes) -> bytes:
    return f"{event_id}.{stamp}.".encode() + body


def _digest(key: bytes, content: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256))


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretMalformed("a webhook secret is base64, with or without whsec_") from error
    if not key:
        raise SecretMalformed("a webhook secret is not empty")
    return key
