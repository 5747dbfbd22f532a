"""Signatures of callbacks by the Standard Webhooks scheme.

The signature is HMAC-SHA256 over `id.timestamp.body`, base64, in a list of `v1,…` entries
(https://github.com/standard-webhooks/standard-webhooks, spec §Signature scheme). The id and the
time are signed, so a sender without a secret can change neither. The receiver detects a repeated
callback by its event id; this module does not.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

HEADER_ID = "webhook-id"
HEADER_TIMESTAMP = "webhook-timestamp"
HEADER_SIGNATURE = "webhook-signature"

MAX_ACTIVE_SECRETS = 2
"""Secrets of one account: the current one and its predecessor. A third is a forgotten one."""
_MAX_SIGNATURES = 8  # a sender signs with one secret, or with two during a rotation

_SECRET_PREFIX = "whsec_"  # noqa: S105  # the scheme's public prefix, not a secret
_VERSION = "v1"
_ID = re.compile(r"[\x21-\x7e]{1,255}")  # it becomes a key in our inbox
_TIMESTAMP = re.compile(r"[0-9]{1,11}")  # whole seconds, up to the year 5138


class Rejection(StrEnum):
    """Reason to refuse a callback."""

    MISSING_HEADER = "missing_header"  # or an id that is empty, too long, or not printable ASCII
    MALFORMED_TIMESTAMP = "malformed_timestamp"
    STALE_TIMESTAMP = "stale_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    BAD_SIGNATURE = "bad_signature"
    OTHER_TOPIC = "other_topic"  # a valid sender, but not the one of the settings
    DOCUMENTS_UNAVAILABLE = "documents_unavailable"  # such as the certificate


class SignatureRejected(Exception):
    """The callback was not sent by a holder of a secret, or not in time.

    Attributes:
        reason: reason of the refusal; safe to log, not meant for the sender.
    """

    def __init__(self, reason: Rejection) -> None:
        super().__init__(reason.value)
        self.reason = reason


class SecretMalformed(ValueError):
    """A configured secret is empty, or is not the base64 that its scheme needs."""


@dataclass(frozen=True)
class Signed:
    """A callback with a valid signature."""

    id: str
    timestamp: datetime  # time of sending, another one for each try, in UTC


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    now: datetime,
    tolerance_sec: int = 300,
) -> Signed:
    """Check a callback against every valid secret.

    The comparisons take the same time for any matching secret and for none.

    Args:
        headers: headers of the request; names in any case.
        body: raw bytes, before any parsing.
        secrets: all secrets that are valid now; without one, every callback is refused.
        now: current time, aware.
        tolerance_sec: largest difference of the sender's clock, in both directions; the scheme's
            own libraries use 300 s.

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
    """Refuse a text that cannot be a secret of callbacks.

    Raises:
        SecretMalformed: it is not base64, with or without `whsec_`, or is empty.
    """
    _key(secret)


def make_secret() -> str:
    """Make a secret of 32 random bytes; the scheme asks for 24 to 64."""
    return f"{_SECRET_PREFIX}{base64.b64encode(os.urandom(32)).decode()}"


def sign(secret: str, event_id: str, timestamp: datetime, body: bytes) -> dict[str, str]:
    """Make the three headers of a callback.

    Args:
        secret: base64, with or without `whsec_`.
        event_id: the same for every try of one callback; 1 to 255 printable ASCII characters.
        timestamp: time of this try, aware; fractions of a second are dropped.
        body: exactly the bytes to send.

    Raises:
        SecretMalformed: the secret is not base64.
        ValueError: `verify` would refuse the id.
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
    """Read the time of sending, given in whole seconds since 1970.

    Raises:
        SignatureRejected: it is no such number, or differs from now by more than the tolerance.
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
    """Return True if an offered signature equals an expected one.

    Every pair is compared, also after a match. Too many signatures are refused uncompared: they
    would cost us work and the sender nothing.
    """
    if len(offered) > _MAX_SIGNATURES:
        return False
    theirs = [signature.encode("utf-8", "surrogatepass") for signature in offered]
    matched = False
    for ours in expected:
        for signature in theirs:
            matched |= hmac.compare_digest(ours, signature)  # no early exit: constant time
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
