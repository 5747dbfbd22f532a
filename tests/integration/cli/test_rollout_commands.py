"""The rollout at the command line, over a real database and a real API."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import text

from pipeline.content.object_urls import key_of
from pipeline.domain.errors import Conflict
from pipeline.operations import rollout_stage
from pipeline.operations.rollout_stage import set_percent
from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World
from tests.integration.cli.conftest import Ran, khronika

WITHDRAWN = (
    *("published_output_id", "manifest_url", "fallback_url", "poster_url", "thumbnail_url"),
    "playable_at",
)
"""Columns that a cancel in the middle of a re-encode clears, if that has published already."""
LENIENT = {"KHRONIKA_ROLLOUT_VIDEOS": "1", "KHRONIKA_ROLLOUT_READY_SEC": "86400"}


@pytest.fixture
def env(environment: Mapping[str, str], api: Client) -> Mapping[str, str]:
    return {**environment, **LENIENT, "KHRONIKA_URL": api.url}


def rollout(*arguments: str, env: Mapping[str, str]) -> Ran:
    return khronika("rollout", *arguments, "--json", env=env)


def percent(world: World) -> int:
    with session_of(world.superuser) as session:
        return int(session.scalars(text("SELECT percent FROM rollout")).one())


def changes(world: World) -> list[dict[str, object]]:
    return [row.detail for row in world.all(AuditEvent) if row.type == "rollout_changed"]


def complete_one(api: Client, world: World) -> Path:
    """Complete a video with a callback, and return its fallback file."""
    asset_id = api.create().json()["id"]
    asset = world.complete(asset_id)
    with session_of(world.superuser) as session:
        session.execute(
            text("""
                INSERT INTO metric_counts (name, labels, le, shard, total, seconds)
                VALUES ('khronika_callbacks', '{selfhosted,applied}', 'Infinity', 0, 1, 0)
            """)
        )
    root = Path(str(api.services.settings.storage.url).removeprefix("file://"))
    file = root / (key_of(asset.fallback_url or "") or "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\0\0\0\x20ftypisom" + bytes(1000))
    return file


def test_a_stage_that_shows_what_is_required_leads_to_the_next(
    api: Client, world: World, env: Mapping[str, str]
) -> None:
    assert rollout("back", "--share", "0", env=env).code == 0
    assert rollout("add", "ana", env=env).document == {"owner_id": "ana", "added": True}
    refused = rollout("advance", env=env)
    assert refused.code == 1
    error = refused.document["error"]
    assert (error["code"], "fallback_drill" in error["unmet"]) == ("requirements_unmet", True)
    assert percent(world) == 0

    complete_one(api, world)
    assert rollout("drill", env=env).document == {"files": 1, "broken": []}
    status = rollout("status", env=env)
    assert (status.code, status.document["stage"]) == (0, "listed owners")
    assert rollout("advance", env=env).document == {"was": 0, "percent": 1, "unmet": []}
    assert changes(world) == [
        {"was": 100, "percent": 0, "unmet": []},
        {"was": 0, "percent": 1, "unmet": []},
    ]
    assert rollout("status", env=env).code == 1, "the new stage has shown nothing yet"


def test_force_sets_the_requirements_aside_and_the_audit_names_them(
    world: World, env: Mapping[str, str]
) -> None:
    rollout("back", env=env)
    forced = rollout("advance", "--force", env=env)
    assert (forced.code, percent(world)) == (0, 100)
    [_, recorded] = changes(world)
    assert recorded["unmet"] == forced.document["unmet"]
    assert {"videos", "callbacks", "fallback_drill"} <= set(forced.document["unmet"])


def test_a_drill_finds_a_fallback_that_does_not_play(
    api: Client, world: World, env: Mapping[str, str]
) -> None:
    complete_one(api, world).write_bytes(b"<html>not found</html>")
    drilled = rollout("drill", env=env)
    assert (drilled.code, len(drilled.document["broken"])) == (1, 1)
    assert UUID(drilled.document["broken"][0])
    found = rollout("status", env=env).document["requirements"]
    assert {each["name"]: each["is_met"] for each in found}["fallback_drill"] is False


def test_a_drill_leaves_out_what_is_withdrawn_or_deleted_meanwhile(
    api: Client, world: World, env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    complete_one(api, world)
    withdrawn = api.create().json()["id"]
    world.complete(withdrawn)
    cleared = ", ".join(f"{name} = NULL" for name in WITHDRAWN)
    with session_of(world.superuser) as session:
        session.execute(
            text(
                "UPDATE video_assets SET status = 'failed', error_code = 'cancelled', "
                f"error_message = 'x', {cleared} WHERE id = :id"
            ),
            {"id": withdrawn},
        )
    assert rollout("drill", env=env).document == {"files": 1, "broken": []}

    posts = rollout_stage.posts_to_drill
    gone = uuid4()
    monkeypatch.setattr(rollout_stage, "posts_to_drill", lambda session: [gone, *posts(session)])
    assert rollout("drill", env=env).document == {"files": 1, "broken": []}


def test_a_drill_without_files_proves_nothing(env: Mapping[str, str]) -> None:
    assert rollout("drill", env=env).code == 1


def test_back_takes_only_a_smaller_share(world: World, env: Mapping[str, str]) -> None:
    for step in (50, 25, 5, 1, 0):
        assert rollout("back", env=env).code == 0
        assert percent(world) == step
    assert rollout("back", env=env).document["error"]["code"] == "not_smaller"
    assert rollout("back", "--share", "50", env=env).code == 2


def test_two_operators_cannot_both_take_the_same_step(world: World, env: Mapping[str, str]) -> None:
    rollout("back", env=env)
    with session_of(world.superuser) as session, pytest.raises(Conflict, match="meanwhile"):
        set_percent(session, 25, expected=100)
    assert percent(world) == 50


def test_the_list_is_shown_and_changed(world: World, env: Mapping[str, str]) -> None:
    rollout("add", "ana", env=env)
    assert rollout("add", "ana", env=env).document["added"] is False
    assert [line["owner_id"] for line in rollout("owners", env=env).lines] == ["ana"]
    assert rollout("remove", "ana", env=env).code == 0
    assert rollout("owners", env=env).lines == []
    assert rollout("remove", "ana", env=env).document["error"]["code"] == "owner_not_listed"
    types = [row.type for row in world.all(AuditEvent)]
    assert types == ["rollout_owner_added", "rollout_owner_removed"]


def test_people_read_sentences(env: Mapping[str, str]) -> None:
    shown = khronika("rollout", "status", env=env)
    assert "all owners since" in shown.out
    assert "NOT MET  0 videos have ended; at least 1 must." in shown.out


def test_no_login_but_the_operators_reaches_the_stage_or_the_list(
    role_urls: Mapping[str, str],
) -> None:
    tries = ("SELECT * FROM rollout", "UPDATE rollout SET percent = 100", "DELETE FROM rollout")
    for part in ("api", "worker", "public"):
        for statement in (*tries, "SELECT * FROM rollout_owners"):
            with (
                psycopg.connect(role_urls[part]) as connection,
                pytest.raises(InsufficientPrivilege),
            ):
                connection.execute(statement)
