import json
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.integration.api.conftest import OWNER, SOURCE, Client, World, token
from tests.integration.cli.conftest import khronika


def created(api: Client) -> tuple[str, str]:
    """The ids of a new asset and of its post."""
    asset = api.create().json()
    return asset["id"], asset["post_id"]


def test_an_address_is_submitted_and_can_be_submitted_again(
    api: Client, ana: Mapping[str, str]
) -> None:
    post_id = uuid4()
    submit = ("submit", SOURCE, "--post-id", post_id, "--title", "Holiday", "--json")

    first = khronika(*submit, env=ana)
    again = khronika(*submit, env=ana)

    assert (first.code, again.code) == (0, 0)
    assert first.document["post_id"] == str(post_id)
    assert first.document["status"] == "queued"
    assert again.document["id"] == first.document["id"]


def test_a_file_is_uploaded_checked_and_registered(
    ana: Mapping[str, str], world: World, clip: Path
) -> None:
    ran = khronika("submit", clip, "--poster-time", 1.5, "--json", env=ana)

    assert ran.code == 0, ran.err
    asset = world.asset(ran.document["id"])
    assert str(asset.upload_id) == ran.document["id"]
    assert asset.source_size_bytes == clip.stat().st_size
    assert asset.poster_time_sec == 1.5


def test_a_file_that_is_no_video_is_refused_with_a_next_step(
    ana: Mapping[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "page.mp4"
    page.write_text("<!doctype html><title>Not a video</title>" * 50)

    ran = khronika("submit", page, env=ana)

    assert ran.code == 3
    assert "unsupported_media" in ran.err
    assert "Upload it as MP4" in ran.err


def test_a_source_that_is_neither_file_nor_address_is_a_usage_error(
    ana: Mapping[str, str],
) -> None:
    ran = khronika("submit", "/no/such/file.mp4", env=ana)

    assert ran.code == 2
    assert "neither a file nor" in ran.err


def test_another_source_for_the_same_post_is_refused(api: Client, ana: Mapping[str, str]) -> None:
    _, post_id = created(api)

    ran = khronika(
        "submit", "https://videos.example/other.mp4", "--post-id", post_id, "--json", env=ana
    )

    assert ran.code == 3
    error = ran.document["error"]
    assert (error["code"], error["status"], error["retryable"]) == ("post_has_asset", 409, False)
    assert error["message"]
    assert "--post-id" in error["next_step"]
    assert error["request_id"]


def test_what_is_wrong_with_a_request_is_said_part_by_part(ana: Mapping[str, str]) -> None:
    ran = khronika("submit", SOURCE, "--title", "x" * 501, env=ana)

    assert ran.code == 3
    assert "#/title: " in ran.err


def test_status_shows_where_a_video_is(api: Client, ana: Mapping[str, str], world: World) -> None:
    asset_id, post_id = created(api)
    world.complete(asset_id)

    ran = khronika("status", post_id, env=ana)

    assert ran.code == 0
    assert "completed" in ran.out
    assert f"{api.url}/media/videos/{asset_id}/manifest.m3u8" in ran.out
    assert "1280x720" in ran.out


def test_a_command_reads_an_id_as_the_api_does(api: Client, ana: Mapping[str, str]) -> None:
    post_id = UUID(created(api)[1])
    for text in (str(post_id).upper(), post_id.hex):
        assert khronika("status", text, env=ana).code == 0
        again = khronika("submit", SOURCE, "--post-id", text, env=ana)
        assert str(post_id) in again.out
    for text in (f"{{{post_id}}}", post_id.urn, "holiday"):
        refused = khronika("status", text, env=ana)
        assert (refused.code, "is not a valid UUID" in refused.err) == (2, True)


def test_status_of_a_failed_video_says_why_and_is_no_failure_of_the_command(
    api: Client, ana: Mapping[str, str], world: World
) -> None:
    asset_id, post_id = created(api)
    world.fail(asset_id)

    ran = khronika("status", post_id, env=ana)

    assert ran.code == 0
    assert "It failed. (source_unreachable)" in ran.out


def test_a_strangers_video_is_not_there(api: Client) -> None:
    _, post_id = created(api)
    env = {"KHRONIKA_URL": api.url, "KHRONIKA_TOKEN": token("boris")}

    ran = khronika("status", post_id, "--json", env=env)

    assert (ran.code, ran.document["error"]["code"]) == (3, "post_not_found")


@pytest.mark.parametrize(
    ("bad", "code"),
    [("nonsense", "token_invalid"), (token("ana", exp=1_000_000_000), "token_expired")],
)
def test_a_token_that_is_not_accepted_says_how_to_get_one(api: Client, bad: str, code: str) -> None:
    env = {"KHRONIKA_URL": api.url, "KHRONIKA_TOKEN": bad}

    ran = khronika("status", uuid4(), env=env)

    assert ran.code == 3
    assert code in ran.err
    assert "khronika token" in ran.err


def test_events_are_one_document_a_line(api: Client, ana: Mapping[str, str], world: World) -> None:
    asset_id, post_id = created(api)
    world.fail(asset_id)

    ran = khronika("events", post_id, "--json", env=ana)

    assert ran.code == 0
    assert [(line["seq"], line["type"]) for line in ran.lines] == [
        (1, "created"),
        (2, "failed"),
    ]


def test_events_are_told_in_words_with_the_states_they_led_to(
    api: Client, ana: Mapping[str, str], world: World
) -> None:
    asset_id, post_id = created(api)
    world.fail(asset_id)

    ran = khronika("events", post_id, env=ana)

    assert "created" in ran.out
    assert "queued → failed" in ran.out


def test_watching_a_video_that_failed_ends_with_1_and_the_reason(
    api: Client, ana: Mapping[str, str], world: World
) -> None:
    asset_id, post_id = created(api)
    world.fail(asset_id)

    ran = khronika("watch", post_id, env=ana)

    assert ran.code == 1
    assert "It failed. (source_unreachable)" in ran.out


def test_watching_for_a_program_gives_events_and_states(
    api: Client, ana: Mapping[str, str], world: World
) -> None:
    asset_id, post_id = created(api)
    world.complete(asset_id)

    ran = khronika("watch", post_id, "--json", env=ana)

    assert ran.code == 0
    assert [line["event"]["seq"] for line in ran.lines if "event" in line] == [1, 2, 3]
    assert ran.lines[-1]["asset"]["status"] == "completed"


def test_a_failed_video_is_retried_once_and_not_twice(
    api: Client, ana: Mapping[str, str], world: World
) -> None:
    asset_id, post_id = created(api)
    world.fail(asset_id)

    first = khronika("retry", post_id, "--json", env=ana)
    again = khronika("retry", post_id, "--json", env=ana)

    assert (first.code, first.document["status"]) == (0, "queued")
    assert (again.code, again.document["error"]["code"]) == (3, "not_failed")


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


def test_where_nothing_listens_the_message_says_how_to_start_it() -> None:
    env = {"KHRONIKA_URL": "http://127.0.0.1:9", "KHRONIKA_TOKEN": "t"}

    ran = khronika("status", uuid4(), env=env)

    assert ran.code == 4
    assert "Nothing listens at http://127.0.0.1:9" in ran.err
    assert "make up" in ran.err


def test_without_token_and_secret_the_message_names_both() -> None:
    ran = khronika("status", uuid4(), env={"KHRONIKA_URL": "http://127.0.0.1:9"})

    assert ran.code == 2
    assert "KHRONIKA_TOKEN" in ran.err
    assert "KHRONIKA_JWT_SECRET" in ran.err


def test_a_running_stack_is_found_by_what_it_recorded(
    api: Client, environment: Mapping[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / "run").mkdir(parents=True)
    recorded = {
        "PORT": api.url.rpartition(":")[2],
        "KHRONIKA_JWT_SECRET": environment["KHRONIKA_JWT_SECRET"],
    }
    (home / "run" / "environment.json").write_text(json.dumps(recorded))
    _, post_id = created(api)

    mine = khronika("status", post_id, "--owner", OWNER, env={"KHRONIKA_HOME": str(home)})
    demos = khronika("status", post_id, env={"KHRONIKA_HOME": str(home)})

    assert (mine.code, demos.code) == (0, 3)


@pytest.mark.parametrize(
    "command", ["submit", "status", "events", "watch", "retry", "token", "backfill", "doctor"]
)
def test_every_command_explains_itself_and_speaks_json(command: str) -> None:
    ran = khronika(command, "--help", env={})

    assert ran.code == 0
    assert "--json" in ran.out


def test_the_exit_codes_are_documented() -> None:
    ran = khronika("--help", env={})

    assert "Exit codes" in ran.out
