"""The settings of the command line: the API's address, the caller's token, and the rest.

The caller's environment has precedence. A stack that ``make up`` runs from this checkout records
its settings in its home; they complete the caller's.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt

from khronika_video.product_files import IS_CHECKOUT, MODULES
from pipeline.runtime.secret_files import read_secret, unset_defaults

DEFAULT_PORT = "8080"
DEFAULT_OWNER = "demo"
DEFAULT_LIFE_SEC = 3600


class NoCredentials(Exception):
    """Absence of both a token and the secret to make one."""


def complete_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Complete the environment with the settings of the stack that runs from this checkout.

    Args:
        env: The caller's environment; an empty value counts as unset. If it names the file of a
            secret, the stack's own secret is not taken.
    """
    home = _home(env)
    if home is None:
        return {name: value for name, value in env.items() if value}
    secret = _read_strings(home / "secrets.json").get("jwt_secret")
    recorded = _read_strings(home / "run" / "environment.json")
    if secret:
        recorded.setdefault("KHRONIKA_JWT_SECRET", secret)
    given = {name: value for name, value in env.items() if value}
    return unset_defaults(recorded, given) | given


def api_address(env: Mapping[str, str]) -> str:
    """Return the API's address: ``KHRONIKA_URL``, else the port ``PORT`` of this machine."""
    return env.get("KHRONIKA_URL") or f"http://127.0.0.1:{env.get('PORT', DEFAULT_PORT)}"


def make_token(
    env: Mapping[str, str],
    owner_id: str,
    *,
    role: str | None = None,
    now: datetime | None = None,
    life_sec: int = DEFAULT_LIFE_SEC,
) -> str:
    """Make a token like those that the site issues to a signed-in user.

    Args:
        env: A completed environment. It holds the secret or names its file, and may name the
            API's issuer and audience.
        owner_id: The ``sub``.
        role: ``service_role`` for an operator, ``operator_read`` for an operator who only reads.
        now: The instant of issue.
        life_sec: Seconds until the token expires.

    Raises:
        NoCredentials: the environment has no secret.
        SecretUnreadable: the secret's file cannot be read.
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


def _home(env: Mapping[str, str]) -> Path | None:
    """Return the home of the stack whose settings complete the caller's.

    A wheel has no stack of its own, and the working directory is nobody's to trust.
    """
    named = env.get("KHRONIKA_HOME")
    if named:
        return Path(named).expanduser()
    return MODULES / ".khronika" if IS_CHECKOUT else None


def _read_strings(path: Path) -> dict[str, str]:
    """Read a JSON object of strings; an unreadable file counts as empty."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {str(name): str(value) for name, value in content.items()}
