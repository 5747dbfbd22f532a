from collections.abc import Mapping

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


def test_clean_says_what_would_go(environment: Mapping[str, str], ana: Mapping[str, str]) -> None:
    ran = khronika("clean", "--dry-run", "--json", env={**environment, **ana})

    assert ran.document == {"dry_run": True, "prefixes": [], "reclaimed_bytes": 0}
