"""Tokens that hold a JSON value, readable by anyone and forgeable only with the key.

The purpose is bound into the signature: a token signed for one purpose is refused for another.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from itsdangerous import URLSafeSerializer

Keys = str | Sequence[str]
"""One key, or the current key and after it the earlier ones that are still accepted."""


def sign_token(key: str, payload: Any, *, purpose: str) -> str:
    """Make a token of characters that need no quoting in a URL.

    Args:
        key: The secret key of the installation.
        payload: A JSON value; anyone who holds the token can read it.
        purpose: Name of the kind of token, with a version, such as `khronika.stream-ticket.v1`.
    """
    token = _serializer(key, purpose).dumps(payload)
    return token if isinstance(token, str) else token.decode()


def read_token(keys: Keys, token: str, *, purpose: str) -> Any:
    """Return the value that a token holds, which any of the keys may have signed.

    Raises:
        itsdangerous.BadSignature: The token is forged, cut, or signed with another key or purpose.
        itsdangerous.BadData: The base class of all its errors.
    """
    return _serializer(keys, purpose).loads(token)


def _serializer(keys: Keys, purpose: str) -> URLSafeSerializer:
    # itsdangerous's defaults are SHA-1 and a derivation without HMAC, kept for old tokens.
    options = {"digest_method": sha256, "key_derivation": "hmac"}
    # itsdangerous signs with the last of several keys, and accepts each of them.
    oldest_first = keys if isinstance(keys, str) else [*reversed(keys)]
    return URLSafeSerializer(oldest_first, salt=purpose, signer_kwargs=options)
