"""Which API the command line talks to, as whom, and with which settings.

What the caller's environment says comes first; what it leaves open is taken from the stack that
``make up`` runs from this checkout, which records its settings in its home.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt

from pipeline.net.secret_files import left_open, read_secret

CHECKOUT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = "8080"
DEFAULT_OWNER = "demo"
DEFAULT_LIFE_SEC = 3600


class NoCredentials(Exception):
    """There is neither a token nor the secret to make one."""


def complete(env: Mapping[str, str]) -> dict[str, str]:
    """The environment, completed from the stack that runs from here, where one does.

    Args:
        env: The caller's environment; an empty value counts as unset. Where it names the file of a
            secret, that is the caller's secret, and the stack's is not taken.
    """
    home = Path(env.get("KHRONIKA_HOME") or CHECKOUT / ".khronika").expanduser()
    secret = _strings(home / "secrets.json").get("jwt_secret")
    recorded = _strings(home / "run" / "environment.json")
    if secret:
        recorded.setdefault("KHRONIKA_JWT_SECRET", secret)
    given = {name: value for name, value in env.items() if value}
    return left_open(recorded, given) | given


def address_of(env: Mapping[str, str]) -> str:
    """Where the API is: ``KHRONIKA_URL``, else on this machine."""
    return env.get("KHRONIKA_URL") or f"http://127.0.0.1:{env.get('PORT', DEFAULT_PORT)}"


def make_token(
    env: Mapping[str, str],
    owner_id: str,
    *,
    role: str | None = None,
    now: datetime | None = None,
    life_sec: int = DEFAULT_LIFE_SEC,
) -> str:
    """A token such as the site would issue to a signed-in user.

    Args:
        env: Completed; holds the secret or names its file, the issuer and the audience of the API.
        owner_id: The ``sub``.
        role: ``service_role`` for an operator, ``operator_read`` for one who only reads.
        now: When it is issued.
        life_sec: How long it is valid.

    Raises:
        NoCredentials: the secret is not known here.
        SecretUnreadable: its file does not hold it.
    """
    secret = read_secret(env, "KHRONIKA_JWT_SECRET")
    if not secret:
        raise NoCredentials("There is no token (KHRONIKA_TOKEN) and no KHRONIKA_JWT_SECRET.")
    issued_at = now or datetime.now(UTC)
    claims = {
        "sub": owner_id,
        "role": role or "authenticated",
        "iss": env.get("KHRONIKA_JWT_ISSUER", "khronika"),
        "aud": env.get("KHRONIKA_JWT_AUDIENCE", "authenticated"),
        "iat": issued_at,
        "exp": issued_at + timedelta(seconds=life_sec),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def _strings(path: Path) -> dict[str, str]:
    """A JSON object of strings; empty when it cannot be read: then nothing runs from here."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {str(name): str(value) for name, value in content.items()}
