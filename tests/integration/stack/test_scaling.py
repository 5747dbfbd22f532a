"""KEDA's questions to the database, asked as the role whose login KEDA is given."""

import re
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from tests.integration.schema.isolation.rows import seed
from tests.shared_run import Databases
from tests.unit.deploy.artefacts import of_kind

SCALED = of_kind("ScaledObject")
INDEXES = {
    "submit": {"video_assets_due"},
    "reconcile": {"video_assets_poll", "webhook_deliveries_unread"},
    "transcode": {"jobs_queued"},
}
ALSO = {"submit": {"video_assets_owner_due"}}
"""An index of the same rows, which costs the same while the table is empty."""
OVERDUE = {
    "due": ("submit", "UPDATE video_assets SET next_attempt_at = now() - interval '60 s'"),
    "poll": (
        "reconcile",
        """
        UPDATE webhook_deliveries SET next_try_at = now() + interval '1 h';
        UPDATE video_assets SET status = 'processing', next_poll_at = now() - interval '60 s',
                                attempt_id = (SELECT id FROM provider_attempts LIMIT 1)
        """,
    ),
    "callback": (
        "reconcile",
        "UPDATE webhook_deliveries SET next_try_at = now() - interval '60 s'",
    ),
    "encode": (
        "transcode",
        """
        INSERT INTO transcoder.jobs (id, request, request_id, status, step, progress, claims,
                                     lease_token, cleanup_owed, created_at)
        VALUES (gen_random_uuid(), '{}', 'a', 'queued', 'queued', 0, 0, 0, false,
                now() - interval '60 s')
        """,
    ),
}
"""Each kind of work: its queue, and the statement that makes it overdue."""


def trigger_of(name: str) -> Mapping[str, Any]:
    [trigger] = SCALED[name]["spec"]["triggers"]
    return trigger  # type: ignore[no-any-return]


def login_of(name: str, role_urls: Mapping[str, str]) -> str:
    """The login that the trigger's secret holds."""
    authentication = of_kind("TriggerAuthentication")[trigger_of(name)["authenticationRef"]["name"]]
    [target] = authentication["spec"]["secretTargetRef"]
    assert (target["parameter"], target["name"]) == ("connection", "khronika")
    return role_urls[target["key"].removesuffix("_database_url")]


def ask(name: str, role_urls: Mapping[str, str]) -> float:
    with psycopg.connect(login_of(name, role_urls)) as connection:
        [[answer]] = connection.execute(trigger_of(name)["metadata"]["query"]).fetchall()
    assert isinstance(answer, float)
    return answer


@pytest.mark.parametrize("name", SCALED)
def test_an_empty_queue_is_of_no_age(name: str, role_urls: Mapping[str, str]) -> None:
    assert ask(name, role_urls) == 0


@pytest.mark.parametrize(("name", "statement"), OVERDUE.values(), ids=OVERDUE)
def test_the_age_is_that_of_the_oldest_due_work(
    name: str,
    statement: str,
    role_urls: Mapping[str, str],
    postgres_url: str,
    databases: Databases,
) -> None:
    seed(role_urls)
    database = str(psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"])
    with psycopg.connect(databases.admin_url_of(database)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement)
    assert 60 <= ask(name, role_urls) < 600
    assert float(trigger_of(name)["metadata"]["targetQueryValue"]) > 0


@pytest.mark.parametrize("name", SCALED)
def test_a_question_is_answered_from_an_index(name: str, role_urls: Mapping[str, str]) -> None:
    with psycopg.connect(login_of(name, role_urls)) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(f"EXPLAIN {trigger_of(name)['metadata']['query']}").fetchall()
    used = set(re.findall(r"using (\w+) on", "\n".join(line for (line,) in plan)))
    assert "Seq Scan" not in str(plan)
    assert used in (INDEXES[name], ALSO.get(name))
