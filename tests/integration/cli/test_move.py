"""The move of an account's videos at the command line."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from pipeline.domain.states import Status
from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World
from tests.integration.cli.conftest import Ran, khronika


@pytest.fixture
def env(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {
        **environment,
        "KHRONIKA_ACCOUNTS": "selfhosted,spare:selfhosted",
        "KHRONIKA_SPARE_URL": "http://127.0.0.1:9",
        "KHRONIKA_SPARE_TOKEN": "t",
        "KHRONIKA_SPARE_PRICE_ENCODED_MINUTE": "0.6",
    }


def move(*options: str, env: Mapping[str, str], target: str = "spare") -> Ran:
    accounts = ("--from", "selfhosted", "--to", target)
    return khronika("move", *accounts, "--rate", "6000", *options, env=env)


def completed(api: Client, world: World, count: int) -> list[str]:
    """Publish videos of the account ``selfhosted``."""
    made = [str(api.create().json()["id"]) for _ in range(count)]
    for asset_id in made:
        asset = world.complete(asset_id)
        ids = {"asset": UUID(asset_id), "output": asset.published_output_id}
        with session_of(world.engine) as session:
            session.execute(
                text("""INSERT INTO provider_attempts (id, asset_id, generation, number, provider)
                        VALUES (:asset, :asset, 1, 1, 'selfhosted')"""),
                ids,
            )
            session.execute(
                text("""INSERT INTO video_outputs (id, asset_id, generation, attempt_id,
                            manifest_url, renditions, duration_sec, width, height)
                        VALUES (:output, :asset, 1, :asset, 'm', '[]', 5.28, 1280, 720)"""),
                ids,
            )
    return made


def told(ran: Ran) -> dict[str, Any]:
    assert ran.code == 0, ran.out + ran.err
    return {line["kind"]: line for line in ran.lines}


def test_a_dry_run_counts_and_estimates_and_changes_nothing(
    api: Client, world: World, env: Mapping[str, str]
) -> None:
    made = completed(api, world, 2)
    found = told(move("--dry-run", "--json", env=env))

    assert found.keys() == {"preview", "video"}
    assert found["video"]["made_from"] == "none"
    assert found["video"]["asset_id"] in made
    preview = found["preview"]
    assert (preview["videos"], preview["under_way"], preview["failed"]) == (2, 0, 0)
    assert preview["minutes"] == pytest.approx(0.2)
    assert preview["encoding_cost"] == pytest.approx(2 * 5.28 / 60 * 0.6)
    assert {world.asset(asset_id).status for asset_id in made} == {Status.COMPLETED}


def test_a_run_queues_up_to_its_limit_and_the_next_run_goes_on(
    api: Client, world: World, env: Mapping[str, str]
) -> None:
    made = completed(api, world, 3)
    first = told(move("--limit", "2", "--json", env=env))
    second = told(move("--json", env=env))

    assert first["preview"]["videos"] == 3
    assert (first["result"]["queued"], second["preview"]["videos"]) == (2, 1)
    assert (second["result"]["queued"], second["preview"]["under_way"]) == (1, 2)
    for asset_id in made:
        asset = world.asset(asset_id)
        assert (asset.status, asset.generation, asset.wanted_provider) == (
            Status.QUEUED,
            2,
            "spare",
        )
        assert asset.manifest_url is not None
        event = world.events(asset_id)[-1]
        assert event.type == "move_requested"
        assert event.detail == {"generation": 2, "from": "selfhosted", "to": "spare"}
        assert event.actor.startswith("operator:")
    assert [row.type for row in world.all(AuditEvent)] == ["move", "move"]


def test_delivered_minutes_are_priced_by_both_accounts(
    api: Client, world: World, env: Mapping[str, str]
) -> None:
    completed(api, world, 1)
    priced = {**env, "KHRONIKA_SPARE_PRICE_DELIVERED_MINUTE": "0.002"}
    ran = move("--dry-run", "--delivered-minutes", "500", env=priced)

    assert ran.code == 0
    assert ran.out.splitlines()[1] == "delivering 500 minutes a month costs +1.00 a month"


def test_the_words_for_people_begin_with_the_cost(
    api: Client, world: World, env: Mapping[str, str]
) -> None:
    completed(api, world, 1)
    ran = move(env=env)

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "1 videos, 0.1 minutes; encoding costs about 0.05, storage +0.00 a month"
    assert lines[-1] == "1 queued"


@pytest.mark.parametrize(
    ("target", "code"), [("selfhosted", "same_account"), ("nowhere", "unknown_provider")]
)
def test_a_move_to_no_other_account_is_refused(
    api: Client, env: Mapping[str, str], target: str, code: str
) -> None:
    del api
    ran = move("--json", env=env, target=target)

    assert ran.code != 0
    assert ran.document["error"]["code"] == code
