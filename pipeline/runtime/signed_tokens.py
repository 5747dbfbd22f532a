"""Tokens that hold a JSON value, readable by anyone and forgeable only with the key.

The purpose is bound into the signature: a token signed for one purpose is refused for another.
"""

from hashlib import sha256
from typing import Any

from itsdangerous import URLSafeSerializer


def sign_token(key: str, payload: Any, *, purpose: str) -> str:
    """Make a token of characters that need no quoting in a URL.

    Args:
        key: The secret key of the installation.
        payload: A JSON value; anyone who holds the token can read it.
        purpose: Name of the kind of token, with a version, such as `khronika.stream-ticket.v1`.
    """
    token = _serializer(key, purpose).dumps(payload)
    return token if isinstance(token, str) else token.decode()


def read_token(key: str, token: str, *, purpose: str) -> Any:
    """Return the value that a token holds.

    Raises:
        itsdangerous.BadSignature: The token is forged, cut, or signed with another key or purpose.
        itsdangerous.BadData: The base class of all its errors.
    """
    return _serializer(key, purpose).loads(token)


def _serializer(key: str, purpose: str) -> URLSafeSerializer:
    # itsdangerous's defaults are SHA-1 and a derivation without HMAC, kept for old tokens.
    options = {"digest_method": sha256, "key_derivation": "hmac"}
    return URLSafeSerializer(key, salt=purpose, signer_kwargs=options)
