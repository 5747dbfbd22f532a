"""The keys and passwords that a stack generates once and keeps in its home."""

import base64
import json
import secrets
from collections.abc import Callable, Mapping

from stack.home import Home, read_strings, write_private


def _password() -> str:
    """Return 256 random bits in characters that need no quoting in a URL."""
    return secrets.token_urlsafe(32)


def _webhook_secret() -> str:
    """Return ``whsec_`` and 32 random bytes in base64; Standard Webhooks allows 24 to 64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


MAKERS: Mapping[str, Callable[[], str]] = {
    "jwt_secret": _password,
    "secret_key": _password,
    "webhook_secret": _webhook_secret,
    "provider_token": _password,
    "broker_password": _password,
    "owner_password": _password,
    "api_password": _password,
    "worker_password": _password,
    "operator_password": _password,
    "public_password": _password,
    "transcoder_password": _password,
}


def load_credentials(home: Home) -> Mapping[str, str]:
    """Return the credentials of this home; generate and keep the missing ones (0600).

    The caller must hold the home: two first starts at once would generate two sets.
    """
    known = read_strings(home.secrets)
    complete = {name: known.get(name) or make() for name, make in MAKERS.items()}
    if complete != known:
        write_private(home.secrets, json.dumps(complete, indent=2) + "\n")
    return complete
