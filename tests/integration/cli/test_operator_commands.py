from collections.abc import Mapping
from getpass import getuser
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select

from pipeline.records.clock import from_now
from pipeline.records.models import Attempt, AuditEvent, Output
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World
from tests.integration.api.operator import Operator
from tests.integration.cli.conftest import khronika


def test_there_is_nothing_to_roll_back_at_first(
    api: Client, world: World, ana: Mapping[str, str], environment: Mapping[str, str]
) -> None:
    asset = api.create().json()

    ran = khronika("rollback", asset["post_id"], env={**environment, **ana})

    assert ran.code == 3
    assert "nothing_to_roll_back" in ran.err


def test_what_is_published_again_is_written_down(
    api: Client, world: World, operator: Engine, environment: Mapping[str, str]
) -> None:
    asset = api.create().json()
    completed = world.complete(asset["id"])
    with session_of(world.engine) as session:
        attempt = Attempt(
            id=uuid4(),
            asset_id=completed.id,
            generation=1,
            number=1,
            provider="selfhosted",
            created_at=from_now(0),
        )
        session.add(attempt)
        session.flush()
        earlier = Output(
            id=uuid4(),
            asset_id=completed.id,
            generation=1,
            attempt_id=attempt.id,
            **{f"{name}_url": "storage:x" for name in ("manifest", "fallback", "poster")},
            thumbnail_url="storage:x",
            renditions=[],
            duration_sec=5.0,
            width=1280,
            height=720,
            verified_at=from_now(0),
            retired_at=from_now(0),
        )
        session.add(earlier)

    ran = khronika("rollback", asset["post_id"], "--json", env=environment)

    assert ran.document["published_output_id"] == str(earlier.id)
    with session_of(operator) as session:
        audit = session.scalars(select(AuditEvent)).one()
    assert (audit.type, audit.actor) == ("rollback", f"operator:{getuser()}")
    assert audit.detail == {"post_id": asset["post_id"], "asset_id": asset["id"]}


def test_clean_says_what_would_go(environment: Mapping[str, str], ana: Mapping[str, str]) -> None:
    ran = khronika("clean", "--dry-run", "--json", env={**environment, **ana})

    assert ran.document == {"dry_run": True, "prefixes": [], "reclaimed_bytes": 0}


def test_the_link_signs_whoever_made_it_in_to_the_console(
    api: Client, environment: Mapping[str, str]
) -> None:
    here = {**environment, "KHRONIKA_PUBLIC_URL": api.url}
    made = khronika("ops-link", "--json", env=here)
    assert (made.code, made.document["subject"]) == (0, getuser())
    operator = Operator(api)
    page = operator.submit(operator.get(made.document["url"]).form("/ops/sign-in"))
    assert page.answer.url == f"{api.url}/ops"
    assert getuser() in page.text

    reads = khronika("ops-link", "--read-only", "--json", env=here)
    reader = Operator(api)
    page = reader.submit(reader.get(reads.document["url"]).form("/ops/sign-in"))
    assert "reads only" in page.text


@pytest.mark.parametrize(
    ("settings", "console"),
    [
        ({"KHRONIKA_INTERNAL_BIND": "127.0.0.1:9090"}, "http://127.0.0.1:9090"),
        ({"KHRONIKA_INTERNAL_BIND": "[::1]:9090"}, "http://[::1]:9090"),
        (
            {
                "KHRONIKA_INTERNAL_BIND": "0.0.0.0:9090",
                "KHRONIKA_INTERNAL_URL": "https://ops.internal.example/",
            },
            "https://ops.internal.example",
        ),
    ],
    ids=["its address", "its IPv6 address", "its proxy"],
)
def test_the_link_leads_to_the_listener_of_operators(
    environment: Mapping[str, str], settings: Mapping[str, str], console: str
) -> None:
    made = khronika("ops-link", "--json", env={**environment, **settings})
    assert made.document["url"].startswith(f"{console}/ops/sign-in?link=")
