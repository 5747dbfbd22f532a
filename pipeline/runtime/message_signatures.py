"""Signatures of task messages: only a process with the key makes messages that a worker takes."""

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pipeline.runtime.signed_tokens import Keys

HEADER = "khronika-signature"
"""Header of a message that holds its signature."""

ACCEPTED_SETTING = "task_message_keys"
"""Setting of a worker's Celery app that holds every accepted key, the present one first."""

KEY_SETTING = "task_message_key"
"""Setting of a Celery app that holds the key; Celery hides it in its reports, by its name."""

MAX_BODY_BYTES = 16 * 1024
"""The largest body that is verified. A message of ours has about 120 bytes."""


class MessageForged(ValueError):
    """A task message has no signature of ours."""


def derive_key(secret: str, purpose: str) -> str:
    """Derive a key that signs messages and reveals nothing of the secret.

    Args:
        secret: A secret that the publishers and workers share.
        purpose: Name of the kind of message, with a version.
    """
    return hmac.new(secret.encode(), purpose.encode(), sha256).hexdigest()


def sign_message(key: str, headers: Mapping[str, Any], body: bytes) -> str:
    """Sign a message: its task, its id, its end of life and its arguments."""
    signed = [*(headers.get(name) for name in ("task", "id", "expires")), sha256(body).hexdigest()]
    return hmac.new(key.encode(), json.dumps(signed).encode(), sha256).hexdigest()


def verify_message(keys: Keys, headers: Any, body: bytes | str) -> None:
    """Check the signature of a message before anything else of it is read.

    Args:
        keys: Every accepted key.

    Raises:
        MessageForged: The message is unsigned, changed, too large, or signed with another key.
    """
    given = headers.get(HEADER) if isinstance(headers, Mapping) else None
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if not isinstance(given, str) or len(raw) > MAX_BODY_BYTES:
        raise MessageForged
    accepted = [keys] if isinstance(keys, str) else keys
    signatures = [sign_message(key, headers, raw).encode() for key in accepted]
    if not any(hmac.compare_digest(given.encode(), signature) for signature in signatures):
        raise MessageForged
