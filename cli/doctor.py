"""Is everything there that the product stands on? One check a line, each saying what to do."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import requests
from kombu.connection import Connection as BrokerConnection
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.identity.jwks import NO_KEYS, fetching, read_keys
from pipeline.config.settings import Settings, SettingsInvalid, load_settings
from pipeline.domain.errors import Unprocessable
from pipeline.media.confinement import ISOLATION, active_isolation
from pipeline.media.tools import ToolsMissing, locate_tools
from pipeline.operations.schema_check import check_catalogue
from pipeline.providers.active_secrets import first_secrets, vault_of
from pipeline.providers.callback_secrets import active
from pipeline.providers.secret_sealing import VaultLocked
from pipeline.records.models import ProviderSecret
from pipeline.records.site_posts import Posts, check_posts
from pipeline.runtime.database import make_engine, newest_revision
from pipeline.storage.base import StorageError
from pipeline.storage.open import open_storage

TIMEOUT_SEC = 5.0
MAX_CLOCK_DIFFERENCE_SEC = 5.0
"""Leases and deadlines go by the database's clock, tokens and callbacks by ours; the strictest
comparison of the two allows 30 s."""
ROLES = ("api", "worker", "operator", "public")


class Problem(Exception):
    """What was looked at is not as it should be.

    Attributes:
        next_step: What to do about it.
    """

    def __init__(self, detail: str, next_step: str) -> None:
        super().__init__(detail)
        self.next_step = next_step


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it should be; None when it could not be looked at.
        detail: What was found.
        next_step: What to do about it, where it is not ok.
    """

    name: str
    ok: bool | None
    detail: str
    next_step: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def examine() -> Iterator[Finding]:
    """Look at everything, in the order in which one thing stands on another."""
    try:
        settings = load_settings()
    except SettingsInvalid as error:
        yield Finding("settings", False, str(error), "Set the variables that are named.")
        yield from (Finding(name, None, "not looked at: needs the settings") for name in CHECKS)
        return
    yield Finding("settings", True, f"complete, for {settings.base_url}")
    for name, check in CHECKS.items():
        yield _look(name, check, settings)


def _look(name: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(name, True, check(settings))
    except Problem as problem:
        return Finding(name, False, str(problem), problem.next_step)


@contextmanager
def _connected(settings: Settings, role: str) -> Iterator[Connection]:
    variable = f"{role}_database_url"
    url = getattr(settings, variable).get_secret_value()
    engine = make_engine(url, pool_size=1, name="khronika doctor")
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        step = f"Check KHRONIKA_{variable.upper()}, that the server runs and is migrated."
        raise Problem(said, step) from None
    finally:
        engine.dispose()


def _database(settings: Settings, role: str) -> str:
    with _connected(settings, role) as connection:
        user = connection.scalar(text("SELECT current_user"))
        version = connection.scalar(text("SHOW server_version"))
    if user != f"khronika_{role}":
        variable = f"KHRONIKA_{role.upper()}_DATABASE_URL"
        raise Problem(
            f"enters as {user}", f"Let {variable} enter as khronika_{role}: it bounds what is seen."
        )
    return f"{user}, PostgreSQL {version}"


def _migrations(settings: Settings) -> str:
    with _connected(settings, "api") as connection:
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    head = newest_revision()
    if found != head:
        raise Problem(f"at {found}, this code needs {head}", "Migrate, with DATABASE_URL set.")
    return f"at {found}, the newest"


def _catalogue(settings: Settings) -> str:
    with _connected(settings, "operator") as connection:
        findings = check_catalogue(connection)
    if findings:
        raise Problem(
            "\n".join(map(str, findings)),
            "Undo what was changed by hand. Security depends on it: policies and grants first.",
        )
    return "as the migrations made it"


def _clock(settings: Settings) -> str:
    with _connected(settings, "worker") as connection:
        connection.execute(text("SELECT 1"))  # connecting must not count
        before = datetime.now(UTC)
        theirs = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        after = datetime.now(UTC)
    # The middle of the question and the answer, as in Cristian's algorithm (1989).
    apart_sec = (theirs - (before + (after - before) / 2)).total_seconds()
    if abs(apart_sec) > MAX_CLOCK_DIFFERENCE_SEC:
        raise Problem(f"the database is {apart_sec:+.1f} s from this machine", "Let both use NTP.")
    return f"the database is {apart_sec:+.3f} s from this machine"


def _broker(settings: Settings) -> str:
    url = settings.broker_url.get_secret_value()
    try:
        with BrokerConnection(url, connect_timeout=TIMEOUT_SEC) as broker:  # type: ignore[no-untyped-call] # kombu has no types
            broker.ensure_connection(
                max_retries=1, timeout=TIMEOUT_SEC, reraise_as_library_errors=True
            )
            return f"answers at {broker.as_uri()}"
    except Exception as error:  # noqa: BLE001 - each transport raises its own
        raise Problem(
            f"does not answer: {type(error).__name__}",
            "Check BROKER_URL. Nothing is lost meanwhile; the sweep finds what is due.",
        ) from None


def _secrets(settings: Settings) -> str:
    first = first_secrets(settings)
    with _connected(settings, "operator") as connection, Session(connection) as session:
        found = {
            provider: session.scalars(select(ProviderSecret).where(active(provider))).all()
            for provider in first
        }
    vault = vault_of(settings)
    for provider, rows in found.items():
        if not rows and not first[provider]:
            raise Problem(
                f"{provider} has none: no callback of its is believed",
                f"Make one with `khronika secrets rotate {provider}`, and give it to the provider.",
            )
        try:
            for row in rows:
                vault.open(row.secret, account=provider)
        except VaultLocked:
            raise Problem(
                f"KHRONIKA_SECRET_KEY does not open those of {provider}",
                "Set it back, or name the old one in KHRONIKA_SECRET_KEY_PREVIOUS.",
            ) from None
    counts = (f"{provider} {len(rows) or 'from the settings'}" for provider, rows in found.items())
    return f"active: {', '.join(counts)}"


def _storage(settings: Settings) -> str:
    key = f"health/doctor-{uuid4()}/probe"
    try:
        storage = open_storage(settings.storage_url, settings.storage_credentials)
        storage.write(key, [b"ok"])
        readable = b"".join(storage.read(key)) == b"ok"
        storage.delete_prefix(key.rpartition("/")[0])
    except (OSError, StorageError, ValueError) as error:
        raise Problem(str(error), "Check STORAGE_URL, its owner, and the space left.") from None
    if not readable:
        raise Problem("what was written is not what is read", "Check STORAGE_URL.")
    return f"writable: {settings.storage_url}"


def _tools(_: Settings) -> str:
    try:
        tools = locate_tools(os.environ)
    except ToolsMissing as error:
        raise Problem(str(error), "Install ffmpeg, or set FFMPEG and FFPROBE.") from None
    return ", ".join(_version(program) for program in (tools.ffmpeg, tools.ffprobe))


def _isolation(_: Settings) -> str:
    """Never a problem: containers often forbid a part, and the limits hold everywhere."""
    try:
        active = active_isolation()
    except OSError as error:
        raise Problem(str(error), "Check that the interpreter's own files can be read.") from None
    missing = [part for part in ISOLATION if part not in active]
    lacking = f"; not allowed here: {', '.join(missing)}" if missing else ""
    return f"limits, {', '.join(active) or 'nothing more'}{lacking}"


def _version(program: str) -> str:
    """The first words of ``-version``, such as ``ffmpeg version 8.1``."""
    try:
        said = subprocess.run(
            [program, "-version"], capture_output=True, text=True, timeout=TIMEOUT_SEC, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Problem(f"{program} does not run: {error}", "Install it anew.") from None
    return " ".join(said.split()[:3])


def _transcoder(settings: Settings) -> str:
    url = str(settings.selfhosted_url).rstrip("/")
    token = settings.selfhosted_token.get_secret_value()
    try:
        # A job that cannot exist: asks for the service and for the token's validity, and nothing
        # comes of it.
        answer = requests.get(
            f"{url}/v1/jobs/{uuid4()}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_SEC,
        )
    except requests.RequestException as error:
        raise Problem(
            f"{url} does not answer: {type(error).__name__}",
            "Check KHRONIKA_SELFHOSTED_URL, and that it runs.",
        ) from None
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        step = "Make KHRONIKA_SELFHOSTED_TOKEN equal to KHRONIKA_TRANSCODER_TOKEN over there."
        raise Problem(f"{url} does not accept our token", step)
    if answer.status_code != HTTPStatus.NOT_FOUND:
        raise Problem(f"{url} answered {answer.status_code}", "See the transcoder's log.")
    return f"answers at {url}, accepts our token"


def _issuers(settings: Settings) -> str:
    for issuer in settings.issuers.values():
        if issuer.jwks_url is None:
            continue
        try:
            found = read_keys(fetching(str(issuer.jwks_url))(), issuer.algorithm)
        except NO_KEYS as error:
            raise Problem(
                f"{issuer.issuer} publishes no keys at {issuer.jwks_url}: {error}",
                "Check its jwks_url in KHRONIKA_JWT_ISSUERS.",
            ) from None
        if not found:
            raise Problem(
                f"{issuer.issuer} publishes no {issuer.algorithm} key at {issuer.jwks_url}",
                "Check its algorithm in KHRONIKA_JWT_ISSUERS.",
            )
    return ", ".join(settings.issuers)


def _posts(settings: Settings) -> str:
    if settings.posts_are_whose_comes_first:
        return "no table is configured, owners' tokens name no posts: whoever comes first has one"
    if settings.posts_table is None:
        return "no table is configured; owners' tokens name their posts"
    posts = Posts(settings.posts_table, settings.posts_owner_column)
    for role in ("api", "operator"):
        with _connected(settings, role) as connection, Session(connection) as session:
            try:
                check_posts(session, posts)
            except Unprocessable as error:
                raise Problem(str(error), "Check KHRONIKA_POSTS_TABLE and its grants.") from None
    return f"{posts.name}, owned by {posts.owner_column}"


CHECKS: Mapping[str, Callable[[Settings], str]] = {
    **{f"database as {role}": partial(_database, role=role) for role in ROLES},
    "migrations": _migrations,
    "catalogue": _catalogue,
    "posts": _posts,
    "issuers of tokens": _issuers,
    "clock": _clock,
    "broker": _broker,
    "callback secrets": _secrets,
    "storage": _storage,
    "ffmpeg, ffprobe": _tools,
    "isolation of ffmpeg": _isolation,
    "transcoder": _transcoder,
}
"""What is looked at; each says what it found or raises `Problem`."""
