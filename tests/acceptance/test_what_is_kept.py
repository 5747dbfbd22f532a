"""Nothing that the stack keeps or shows holds a secret. Runs last: the others have filled it."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import requests
from psycopg import sql

from tests import clips
from tests.acceptance.exchanges import Exchange, secrets_in
from tests.acceptance.refusals import STATUSES, provoke
from tests.acceptance.stage import Stage

PAGES = ("/metrics", "/openapi.json", "/docs", "/readyz", "/healthz")
FLOWER_PAGES = ("/", "/workers", "/tasks", "/broker", "/metrics")
FILLED = (
    *("public.video_assets", "public.provider_attempts", "public.video_outputs"),
    *("public.webhook_deliveries", "public.audit_events", "public.provider_secrets"),
    *("public.video_processing_events", "public.uploads"),
    *("transcoder.jobs", "transcoder.callbacks"),
)

Kept = Iterator[tuple[str, str]]
"""Where something is kept or shown, and what."""


@pytest.fixture(scope="module", autouse=True)
def refused(stage: Stage) -> list[Exchange]:
    """A video that completes, one that fails, and every kind of wrong request."""
    good = stage.upload(clips.widescreen(stage.folder, stage.tools), title="kept")
    bad = stage.register(f"{stage.sources.url}/nowhere.mp4", title="kept")
    headers = {
        "webhook-id": "evt_kept",
        "webhook-timestamp": "1",
        "webhook-signature": stage.stack.environment["KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS"],
        "Authorization": f"Bearer {stage.stack.environment['KHRONIKA_SELFHOSTED_TOKEN']}",
    }
    stage.call_back(headers, b"{}")
    stage.await_end(good)
    stage.await_end(bad)
    return list(provoke(stage, str(bad.post_id)))


def logs(stage: Stage, _: object) -> Kept:
    for path in stage.stack.home.logs.glob("*.log"):
        yield f"the log of {path.stem}", path.read_text(errors="replace")


def tables(stage: Stage, _: object) -> Kept:
    with psycopg.connect(stage.stack.environment["DATABASE_URL"], autocommit=True) as connection:
        named = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', %s)",
            ["transcoder"],
        ).fetchall()
        for schema, name in named:
            rows = rows_of(connection, sql.Identifier(schema, name))
            yield f"{schema}.{name}", "\n".join(map(as_text, rows))


def rows_of(connection: psycopg.Connection, table: sql.Identifier) -> list[tuple[Any, ...]]:
    """Every row: row-level security, which holds for the owner too, is off for as long."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY").format(table))
        return connection.execute(sql.SQL("SELECT * FROM {}").format(table)).fetchall()


def pages(stage: Stage, _: object) -> Kept:
    flower = f"http://127.0.0.1:{stage.stack.environment['KHRONIKA_FLOWER_PORT']}"
    addresses = [stage.stack.base_url + path for path in PAGES]
    for address in (*addresses, *(flower + path for path in FLOWER_PAGES)):
        answer = requests.get(address, timeout=60)
        assert answer.ok, f"{answer.status_code} {address}"
        yield address, f"{answer.headers}\n{answer.text}"


def refusals(_: object, refused: Sequence[Exchange]) -> Kept:
    for one in refused:
        assert one.answer_headers["Content-Type"] == "application/problem+json"
        shown = f"{one.answer_headers}\n{one.answer_body.decode()}"
        yield f"{one.status} to {one.request_id}: {one.method} {one.path}", shown


def as_text(row: Sequence[Any]) -> str:
    """A row as a person would read it: bytes as what they say, not as their digits."""
    return "\t".join(
        value.decode(errors="replace")
        if isinstance(value, bytes)
        else json.dumps(value, default=str, ensure_ascii=False)
        for value in row
    )


@pytest.mark.parametrize("kept", [logs, tables, pages, refusals])
def test_nothing_that_is_kept_or_shown_holds_a_secret(
    stage: Stage,
    refused: list[Exchange],
    kept: Callable[[Stage, Sequence[Exchange]], Kept],
) -> None:
    found = dict(kept(stage, refused))
    assert any(text for text in found.values())
    environment = stage.stack.environment
    leaks = {where: secrets_in(text, environment) for where, text in found.items()}
    assert {where: leaked for where, leaked in leaks.items() if leaked} == {}


def test_requests_were_refused_in_every_way_there_is(refused: list[Exchange]) -> None:
    assert {one.status for one in refused} >= STATUSES


def test_the_net_is_not_empty(stage: Stage) -> None:
    everything = "\n".join(stage.stack.environment.values())
    caught = secrets_in(everything, stage.stack.environment)
    assert len(caught) >= 10
    assert {"KHRONIKA_JWT_ISSUERS", "KHRONIKA_SELFHOSTED_TOKEN", "DATABASE_URL"} <= set(caught)


def test_every_table_that_the_run_has_filled_is_read(stage: Stage) -> None:
    found = dict(tables(stage, None))
    assert {table for table in FILLED if not found[table]} == set()


def test_a_secret_is_seen_in_a_body_that_is_stored_as_bytes(stage: Stage) -> None:
    token = stage.stack.environment["KHRONIKA_SELFHOSTED_TOKEN"]
    stored = as_text((b'{"job": "' + token.encode() + b'\xff"}', uuid4(), {"a": None}))
    assert secrets_in(stored, stage.stack.environment) == [
        "KHRONIKA_SELFHOSTED_TOKEN",
        "KHRONIKA_TRANSCODER_TOKEN",
    ]
