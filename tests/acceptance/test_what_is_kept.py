"""Nothing that the stack keeps or shows holds a secret. Runs last: the others have filled it."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
import requests
from psycopg import sql

from cli.environment import make_token
from tests import clips
from tests.acceptance.exchanges import secrets_in
from tests.acceptance.stage import Stage

PAGES = ("/metrics", "/openapi.json", "/docs", "/readyz", "/healthz")
FLOWER_PAGES = ("/", "/workers", "/tasks", "/broker", "/metrics")


@pytest.fixture(scope="module", autouse=True)
def lives(stage: Stage) -> None:
    """A video that completes, one that fails, and every kind of wrong credential."""
    good = stage.upload(clips.widescreen(stage.folder, stage.tools), title="kept")
    bad = stage.register(f"{stage.sources.url}/nowhere.mp4", title="kept")
    expired = make_token(stage.stack.environment, "ana", life_sec=-3600)
    for credential in (f"Bearer {expired}", "Bearer x.y.z", f"Basic {uuid4()}", expired):
        requests.post(
            f"{stage.stack.base_url}/api/video-assets/create",
            headers={"Authorization": credential},
            json={"post_id": str(uuid4())},
            timeout=30,
        )
    headers = {
        "webhook-id": "evt_kept",
        "webhook-timestamp": "1",
        "webhook-signature": stage.stack.environment["KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS"],
        "Authorization": f"Bearer {stage.stack.environment['KHRONIKA_SELFHOSTED_TOKEN']}",
    }
    stage.call_back(headers, b"{}")
    stage.await_end(good)
    stage.await_end(bad)


def logs(stage: Stage) -> Iterator[tuple[str, str]]:
    for path in stage.stack.home.logs.glob("*.log"):
        yield f"the log of {path.stem}", path.read_text(errors="replace")


def tables(stage: Stage) -> Iterator[tuple[str, str]]:
    with psycopg.connect(stage.stack.environment["DATABASE_URL"]) as connection:
        named = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', %s)",
            ["transcoder"],
        ).fetchall()
        for schema, name in named:
            every = sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(
                sql.Identifier(schema, name)
            )
            rows = connection.execute(every).fetchall()
            yield f"the table {schema}.{name}", "\n".join(row[0] for row in rows)


def pages(stage: Stage) -> Iterator[tuple[str, str]]:
    flower = f"http://127.0.0.1:{stage.stack.environment['KHRONIKA_FLOWER_PORT']}"
    addresses = [stage.stack.base_url + path for path in PAGES]
    for address in (*addresses, *(flower + path for path in FLOWER_PAGES)):
        yield address, requests.get(address, timeout=30).text


@pytest.mark.parametrize("kept", [logs, tables, pages])
def test_nothing_that_is_kept_or_shown_holds_a_secret(
    stage: Stage, kept: Callable[[Stage], Iterator[tuple[str, str]]]
) -> None:
    found = dict(kept(stage))
    assert any(text for text in found.values())
    environment = stage.stack.environment
    leaks = {where: secrets_in(text, environment) for where, text in found.items()}
    assert {where: leaked for where, leaked in leaks.items() if leaked} == {}


def test_the_net_is_not_empty(stage: Stage) -> None:
    everything = "\n".join(stage.stack.environment.values())
    assert len(secrets_in(everything, stage.stack.environment)) >= 10
