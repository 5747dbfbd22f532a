"""The environment of every process of a stack."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cli.database_logins import ROLES, login_url, login_variable
from pipeline.config.groups import groups_of
from pipeline.media.confinement import WAIVE, missing_layers
from pipeline.process_settings import DoctorSettings
from pipeline.providers.accounts import account_blocks
from pipeline.runtime.filed_settings import FiledSettings, may_come_in_files
from pipeline.runtime.secret_files import SUFFIX, read_secret
from pipeline.storage.urls import bucket_of
from stack.home import Home, read_strings, write_private
from stack.process_variables import accounts_listed, is_ours
from stack.servers import Servers
from transcoder.settings import TranscoderSettings

THIS_MACHINE = "http://127.0.0.1:*"
"""The origins of sources that a development stack accepts beside public ones. No other name or
address of this machine is among them."""
LIMITS = tuple(
    f"KHRONIKA_LIMIT_{name}" for name in ("CREATE", "RETRY", "UPLOADS", "BAD_SIGNATURES", "SIGN_IN")
)

_GROUPS: tuple[type[FiledSettings], ...] = (*groups_of(DoctorSettings), TranscoderSettings)
SECRETS = frozenset(
    {"DATABASE_URL", *(name for group in _GROUPS for name in may_come_in_files(group))}
)
"""The variables in whose place the caller may name a file."""


@dataclass(frozen=True)
class Ports:
    """The ports of the processes, all on 127.0.0.1."""

    web: int
    transcoder: int
    flower: int


def build_environment(
    home: Home,
    env: Mapping[str, str],
    servers: Servers,
    credentials: Mapping[str, str],
    ports: Ports,
) -> dict[str, str]:
    """Return the settings of a whole stack. The caller's environment takes precedence.

    Args:
        home: Holds the folders of the stack.
        env: The caller's environment; an empty value counts as unset, as in ``PORT= make up``.
        servers: Postgres and the broker.
        credentials: Generated keys and passwords.
        ports: The ports that the processes will listen on.
    """
    given = {name: value for name, value in env.items() if value}
    storage = given.get("STORAGE_URL", home.storage.as_uri())
    public_url = given.get("KHRONIKA_PUBLIC_URL", f"http://127.0.0.1:{ports.web}")
    token = given.get("KHRONIKA_SELFHOSTED_TOKEN", credentials["provider_token"])
    secrets = given.get("KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS", credentials["webhook_secret"])
    defaults = {
        # What is not declared as development is production, which refuses the settings below.
        "KHRONIKA_ENV": "development",
        "DATABASE_URL": servers.owner_url,
        "BROKER_URL": servers.broker_url,
        "STORAGE_URL": storage,
        **{
            login_variable(part): login_url(
                servers.owner_url, role, credentials[f"{part}_password"]
            )
            for part, role in ROLES.items()
        },
        "KHRONIKA_JWT_SECRET": credentials["jwt_secret"],
        "KHRONIKA_SECRET_KEY": credentials["secret_key"],
        "KHRONIKA_PUBLIC_URL": public_url,
        # Development only: the first caller registers the video of a post.
        "KHRONIKA_POST_CLAIM": "off",
        # Development only: sources on this machine, and over plain http, on any port.
        "KHRONIKA_SOURCE_ALLOW": THIS_MACHINE,
        "KHRONIKA_SOURCE_HTTP": "true",
        "KHRONIKA_SOURCE_PORTS": "any",
        # Scripts, tests and fault runs on one machine send more requests than people do.
        **dict.fromkeys(LIMITS, "100000/minute"),
        "KHRONIKA_SELFHOSTED_URL": f"http://127.0.0.1:{ports.transcoder}",
        "KHRONIKA_SELFHOSTED_TOKEN": token,
        "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS": secrets,
        # The transcoder's side of the same boundary: it calls back, and fetches sources from us.
        "KHRONIKA_TRANSCODER_TOKEN": token,
        "KHRONIKA_TRANSCODER_CALLBACK_SECRETS": secrets,
        "KHRONIKA_TRANSCODER_CALLBACK_URL": f"{public_url}/api/video-assets/webhook/selfhosted",
        "KHRONIKA_TRANSCODER_STORAGES": json.dumps({"default": storage}),
        **{
            f"KHRONIKA_TRANSCODER_{name}": given[f"KHRONIKA_{name}"]
            for name in ("STORAGE_KEY_ID", "STORAGE_SECRET")
            if f"KHRONIKA_{name}" in given
        },
        "KHRONIKA_TRANSCODER_SCRATCH": str(home.scratch),
        "KHRONIKA_TRANSCODER_OWN_ORIGINS": ",".join(_own_origins(public_url, storage)),
        # Development only: what this machine cannot isolate is left out.
        **({WAIVE: ",".join(lacking)} if (lacking := missing_layers()) else {}),
    }
    settled = {
        "PORT": str(ports.web),
        "KHRONIKA_HOME": str(home.root),
        "KHRONIKA_FLOWER_PORT": str(ports.flower),
        # `gunicorn` and `celery` must come from this interpreter's environment.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{given.get('PATH', os.defpath)}",
        # Into a pipe Python would write only every 8 KB.
        "PYTHONUNBUFFERED": "1",
    }
    return defaults | given | settled


def _own_origins(public_url: str, storage_url: str) -> list[str]:
    """Return the origins at which the transcoder reads uploads: the API's and the bucket's."""
    parts = urlsplit(storage_url)
    endpoint = bucket_of(parts).endpoint if parts.scheme == "s3" else None
    spelled = [public_url, endpoint] if endpoint else [public_url]
    return [urlsplit(url)._replace(path="", query="", fragment="").geturl() for url in spelled]


def with_secrets_read(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the secrets themselves in place of the names of their files.

    The stack needs them: it derives logins from the owner's, and passes shared secrets on to the
    transcoder. Its record of settings is readable by its owner only, like such files.

    Raises:
        SecretUnreadable: a file does not hold a secret, or there is a variable beside it.
    """
    blocks = account_blocks(accounts_listed(env)).values()
    secrets = SECRETS.union(*map(may_come_in_files, blocks))
    read = {name: read_secret(env, name) or "" for name in secrets if env.get(name + SUFFIX)}
    filed = {name + SUFFIX for name in read}
    return {name: value for name, value in env.items() if name not in filed} | read


def write_environment(home: Home, environment: Mapping[str, str]) -> None:
    """Write the settings for other commands to read while the stack runs (0600)."""
    write_private(home.environment, json.dumps(_settings(environment), indent=2) + "\n")


def read_environment(home: Home) -> dict[str, str]:
    """Read the settings of the stack that runs from this home."""
    return read_strings(home.environment)


def _settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Select the settings, without the rest of the caller's environment."""
    return {name: value for name, value in sorted(environment.items()) if is_ours(name)}
