"""The inbox and the audit as operators read them, and the overview's figures."""

import re
from collections.abc import Mapping

from sqlalchemy import text

from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import Client, World
from tests.integration.api.operator import Page, signed_in

DEAD = 120


def fill_inbox(api: Client, world: World) -> None:
    """Callbacks that were given up, of two accounts in turn, and one that waits."""
    with session_of(api.services.engines.api) as session:
        session.execute(
            text("""
                INSERT INTO webhook_deliveries (id, provider, event_id, headers, body, body_sha256,
                    status, reason)
                SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'another' ELSE 'selfhosted' END,
                    'evt-' || n, '{}', '', '', 'dead', 'unreadable'
                FROM generate_series(1, :dead) n
            """),
            {"dead": DEAD},
        )
        session.execute(
            text("""
                INSERT INTO webhook_deliveries (id, provider, event_id, headers, body, body_sha256)
                VALUES (gen_random_uuid(), 'selfhosted', 'waiting', '{}', '', '')
            """)
        )
    with session_of(world.superuser) as session:
        session.execute(
            text("""
                UPDATE webhook_deliveries
                SET received_at = now() - substr(event_id, 5)::integer * interval '1 minute'
                WHERE status = 'dead'
            """)
        )


def events(page: Page) -> list[str]:
    return [words for words in page.of_tag("a") if words.startswith(("evt-", "waiting"))]


def test_what_was_given_up_is_read_page_by_page_and_by_account(api: Client, world: World) -> None:
    fill_inbox(api, world)
    operator = signed_in(api)
    page = operator.get("/ops/inbox")
    assert page.of_tag("dd")[:2] == ["1", str(DEAD)]
    seen = events(page)
    while (following := [link for link in page.links if "before=" in link]) and len(seen) < 500:
        page = operator.get(following[0])
        seen += events(page)
    assert seen == [f"evt-{n}" for n in range(1, DEAD + 1)]
    assert events(operator.get("/ops/inbox?provider=another"))[:2] == ["evt-2", "evt-4"]
    assert events(operator.get("/ops/inbox?status=new")) == ["waiting"]
    assert operator.get("/ops/inbox?status=odd").status == 422
    assert operator.get("/ops/inbox?asset=odd").status == 422


def test_the_audit_shows_operators_first_and_everybody_on_request(
    api: Client, world: World
) -> None:
    with session_of(world.superuser) as session:
        session.execute(
            text("""
                INSERT INTO audit_events (type, reason, actor)
                SELECT 'callback_rejected', 'bad_signature', 'provider:selfhosted'
                FROM generate_series(1, 60)
                UNION ALL SELECT 'retry', NULL, 'operator:nino' FROM generate_series(1, 60)
            """)
        )
    operator = signed_in(api)
    page = operator.get("/ops/audit")
    assert page.text.count("operator:nino") == 49
    assert "signed_in by operator:ops" in page.text
    assert "callback_rejected" not in page.text
    [further] = [link for link in page.links if "before=" in link]
    assert operator.get(further).text.count("operator:nino") == 11
    assert "callback_rejected" in operator.get("/ops/audit?everything=1&before=61").text
    assert operator.get("/ops/audit?actor=operator:ops").text.count("by operator:ops") == 1


def test_the_overview_tells_queues_times_failures_and_who_answers(
    api: Client, world: World, role_urls: Mapping[str, str]
) -> None:
    done = world.complete(str(api.create().json()["id"]))
    world.fail(str(api.create().json()["id"]))
    api.create()
    worker = make_engine(role_urls["worker"])
    with worker.begin() as connection:
        connection.execute(
            text("""INSERT INTO provider_attempts (id, asset_id, generation, number, provider,
                        outcome, error_code)
                    VALUES (gen_random_uuid(), :id, 1, 1, 'selfhosted', 'failed', 'encode_failed'),
                           (gen_random_uuid(), :id, 1, 2, 'selfhosted', NULL, NULL)"""),
            {"id": done.id},
        )
        connection.execute(
            text("""UPDATE video_assets SET hold_reason = 'spend_guard'
                    WHERE status = 'queued'""")
        )
        connection.execute(
            text("""INSERT INTO provider_spend (provider, hour, assets, media_sec)
                    VALUES ('selfhosted', date_trunc('hour', now(), 'UTC'), 7, 90)""")
        )
        connection.execute(
            text("""INSERT INTO provider_breakers (provider, failures, opened_at, probe_at)
                    VALUES ('selfhosted', 6, '2026-01-02 03:04:05+00', '2026-01-02 03:04:25+00')""")
        )
    worker.dispose()
    page = signed_in(api).get("/ops")
    tiles = dict(zip(page.of_tag("dt"), page.of_tag("dd"), strict=True))
    assert tiles == {
        "queued": "1",
        "processing": "0",
        "completed": "1",
        "failed": "1",
        "retrying": "0",
    }
    assert re.search(r"selfhosted 1 8\.\d s 8\.\d s 8\.\d s", page.text)
    for expected in (
        "selfhosted 1 1 50.0 %",
        "selfhosted failed encode_failed 1",
        "selfhosted open - 1",
        "selfhosted spend_guard 1",
        "selfhosted open 6 2026-01-02 03:04:05 2026-01-02 03:04:25",
        "selfhosted 7 no limit 1.5 no limit",
    ):
        assert expected in page.text
    assert "Broker: answers" in page.text
