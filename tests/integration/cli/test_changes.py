from collections.abc import Mapping
from getpass import getuser
from uuid import uuid4

from sqlalchemy import Engine, select

from pipeline.records import store
from pipeline.records.models import Attempt, AuditEvent, Output
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World
from tests.integration.cli.conftest import khronika


def test_a_video_is_cancelled_encoded_anew_and_deleted(
    api: Client, world: World, ana: Mapping[str, str]
) -> None:
    asset = api.create().json()
    post_id = asset["post_id"]

    cancelled = khronika("cancel", post_id, "--json", env=ana)
    refused = khronika("reencode", post_id, env=ana)
    deleted = khronika("delete", post_id, "--yes", env=ana)
    gone = khronika("status", post_id, env=ana)

    assert cancelled.document["error_code"] == "cancelled"
    assert refused.code == 3
    assert "not_completed" in refused.err
    assert deleted.code == 0
    assert asset["id"] in deleted.out
    assert gone.code == 3


def test_a_completed_video_is_encoded_anew(
    api: Client, world: World, ana: Mapping[str, str]
) -> None:
    asset = api.create().json()
    world.complete(asset["id"])

    ran = khronika("reencode", asset["post_id"], "--json", env=ana)

    assert (ran.code, ran.document["generation"]) == (0, 2)


def test_deleting_asks_first(api: Client, world: World, ana: Mapping[str, str]) -> None:
    asset = api.create().json()

    assert khronika("delete", asset["post_id"], env=ana).code == 1
    assert world.asset(asset["id"]).deleted_at is None


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
            created_at=store.from_now(0),
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
            verified_at=store.from_now(0),
            retired_at=store.from_now(0),
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
