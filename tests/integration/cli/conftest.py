"""The command line, run in this process or as a process, and a site with posts."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from cli.main import app
from pipeline.runtime.database import make_engine
from tests.integration.api.conftest import Client, api, clip, environment, token, tools, world

__all__ = ["api", "clip", "environment", "tools", "world"]

PATIENCE_SEC = 240.0


@dataclass(frozen=True)
class Ran:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Stdout as JSON lines: every line is a document."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> dict[str, Any]:
        """The only document on stdout."""
        [document] = self.lines
        return document


def khronika(*arguments: object, env: Mapping[str, str], given: str | None = None) -> Ran:
    """Run a command in this process, with only this environment.

    Args:
        given: What is typed into it.
    """
    alone = {"KHRONIKA_HOME": "/nonexistent", "COLUMNS": "200", **env}
    for name in ("PATH", "HOME"):
        alone.setdefault(name, os.environ.get(name, ""))
    with patch.dict(os.environ, alone, clear=True):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def khronika_process(*arguments: object, env: Mapping[str, str]) -> Ran:
    """Run the installed command, as a person does."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    program = Path(sys.executable).with_name("khronika")
    command = [str(program), *map(str, arguments)]
    try:
        done = subprocess.run(
            command,
            env={**kept, "KHRONIKA_HOME": "/nonexistent", "COLUMNS": "200", **env},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SEC,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode() + (late.stderr or b"").decode()
        return Ran(-1, said, f"no end after {PATIENCE_SEC:.0f} s")
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def operator(role_urls: Mapping[str, str]) -> Iterator[Engine]:
    engine = make_engine(role_urls["operator"], pool_size=1)
    yield engine
    engine.dispose()


@dataclass(frozen=True)
class Site:
    """A site whose posts share our database.

    Attributes:
        owner_url: Of whoever owns the table.
    """

    owner_url: str

    def run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.owner_url) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def post(
        self,
        *,
        owner_id: str | None = "ana",
        media_kind: str = "video",
        video_url: str | None = "https://videos.example/holiday.mp4",
    ) -> UUID:
        post_id = uuid4()
        self.run(
            "INSERT INTO posts (id, owner_id, media_kind, video_url) VALUES (%s, %s, %s, %s)",
            post_id,
            owner_id,
            media_kind,
            video_url,
        )
        return post_id

    def posts(self) -> list[tuple[Any, ...]]:
        """The rows of the table, each with the transaction that wrote it last."""
        return self.run("SELECT xmin::text, * FROM posts ORDER BY id")


@pytest.fixture
def site(postgres_url: str) -> Site:
    site = Site(postgres_url)
    site.run(
        "CREATE TABLE posts (id uuid PRIMARY KEY, owner_id text, media_kind text, video_url text)"
    )
    site.run("GRANT SELECT ON posts TO khronika_operator")
    return site


@pytest.fixture
def ana(api: Client) -> Mapping[str, str]:
    """The environment of one owner of the API that runs for this test."""
    return {"KHRONIKA_URL": api.url, "KHRONIKA_TOKEN": token("ana")}
