"""The checks of services and programs: broker, storage, ffmpeg, token issuers."""

import os
import subprocess
from uuid import uuid4

from kombu.connection import Connection as BrokerConnection

from api.identity.jwks import NO_KEYS, KeyClient
from cli.check_failed import CheckFailed
from pipeline.config.groups import groups_in
from pipeline.media.confinement import (
    ISOLATION,
    IsolationMissing,
    active_isolation,
    require_isolation,
)
from pipeline.media.ffmpeg_needs import REMEDY, missing_needs
from pipeline.media.tools import ToolsMissing, locate_tools
from pipeline.process_settings import DoctorSettings
from pipeline.runtime.unsafe_settings import find_unsafe
from pipeline.storage.base import StorageAway, StorageError
from pipeline.storage.open import open_storage

TIMEOUT_SEC = 5.0


def check_risks(settings: DoctorSettings) -> str:
    """Report the kind of deployment, and the unsafe settings whose risk the operator accepts.

    The settings could not be read if one ran a risk that is not accepted.
    """
    deployment = settings.api.deployment
    if deployment.is_development:
        return "none: development, which serves this machine alone"
    found = [
        each for each in find_unsafe(groups_in(settings)) if each.risk in deployment.accept_risk
    ]
    needless = sorted(deployment.accept_risk - {each.risk for each in found})
    named = [f"{each.risk} ({each.sentence})" for each in found]
    more = [f"accepted and not run: {', '.join(needless)}"] if needless else []
    return "; ".join([*named, *more]) or "none: production"


def check_broker(settings: DoctorSettings) -> str:
    """Connect to the broker."""
    url = settings.api.broker.broker_url.get_secret_value()
    try:
        with BrokerConnection(url, connect_timeout=TIMEOUT_SEC) as broker:  # type: ignore[no-untyped-call] # kombu has no types
            broker.ensure_connection(
                max_retries=1, timeout=TIMEOUT_SEC, reraise_as_library_errors=True
            )
            return f"answers at {broker.as_uri()}"
    except Exception as error:  # noqa: BLE001 - each transport raises its own
        raise CheckFailed(
            f"does not answer: {type(error).__name__}",
            "Check BROKER_URL. No work is lost meanwhile: the sweep finds it in the database.",
        ) from None


def check_storage(settings: DoctorSettings) -> str:
    """Write, read and delete an object in the storage."""
    key = f"health/doctor-{uuid4()}/probe"
    try:
        storage = open_storage(settings.api.storage.url, settings.api.storage.credentials)
        storage.write(key, [b"ok"])
        readable = b"".join(storage.read(key)) == b"ok"
        storage.delete_prefix(key.rpartition("/")[0])
    except StorageAway as error:
        raise CheckFailed(
            str(error),
            "Mount the storage. Only for a new folder: run python -m pipeline.storage.prepare.",
        ) from None
    except (OSError, StorageError, ValueError) as error:
        raise CheckFailed(
            str(error), "Check STORAGE_URL, its permissions, and its free space."
        ) from None
    if not readable:
        raise CheckFailed("it returned other bytes than were written", "Check STORAGE_URL.")
    return f"writable: {settings.api.storage.url}"


def check_tools(_: DoctorSettings) -> str:
    """Start ffmpeg and ffprobe, and try every filter, codec and option that is used."""
    try:
        tools = locate_tools(os.environ)
    except ToolsMissing as error:
        raise CheckFailed(str(error), "Install ffmpeg, or set FFMPEG and FFPROBE.") from None
    versions = ", ".join(_version(program) for program in (tools.ffmpeg, tools.ffprobe))
    try:
        missing = missing_needs(tools)
    except OSError as error:
        raise CheckFailed(f"a trial does not begin: {error}", REMEDY) from None
    if missing:
        raise CheckFailed(f"{versions}; {tools.ffmpeg} lacks {'; '.join(missing)}", REMEDY)
    return versions


def check_isolation(settings: DoctorSettings) -> str:
    """Report the active isolation of ffmpeg, and the waived layers."""
    try:
        require_isolation(settings.worker.sources.isolation_waive)
        active = active_isolation()
    except (IsolationMissing, OSError) as error:
        raise CheckFailed(
            str(error), "See the hostile files in docs/operations.md for the layers."
        ) from None
    missing = [layer for layer in ISOLATION if layer not in active]
    lacking = f"; waived and not allowed here: {', '.join(missing)}" if missing else ""
    return f"limits, {', '.join(active) or 'nothing more'}{lacking}"


def check_issuers(settings: DoctorSettings) -> str:
    """Fetch the keys of each token issuer that publishes them."""
    for issuer in settings.api.tokens.issuers.values():
        if issuer.jwks_url is None:
            continue
        try:
            found = KeyClient(str(issuer.jwks_url)).read_keys(issuer.algorithm)
        except NO_KEYS as error:
            raise CheckFailed(
                f"{issuer.issuer} publishes no keys at {issuer.jwks_url}: {error}",
                "Check its jwks_url in KHRONIKA_JWT_ISSUERS.",
            ) from None
        if not found:
            raise CheckFailed(
                f"{issuer.issuer} publishes no {issuer.algorithm} key at {issuer.jwks_url}",
                "Check its algorithm in KHRONIKA_JWT_ISSUERS.",
            )
    return ", ".join(settings.api.tokens.issuers)


def _version(program: str) -> str:
    """Return the first words of ``-version``, such as ``ffmpeg version 8.1``."""
    try:
        printed = subprocess.run(
            [program, "-version"], capture_output=True, text=True, timeout=TIMEOUT_SEC, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise CheckFailed(f"{program} does not run: {error}", "Install it again.") from None
    return " ".join(printed.split()[:3])
