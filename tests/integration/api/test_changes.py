"""Cancel, re-encode and delete, over HTTP."""

from collections.abc import Mapping

import pytest

from pipeline.domain.states import Status
from tests.integration.api.conftest import STRANGER, Client, World, serving


def path(asset: dict[str, str], verb: str = "") -> str:
    return f"/api/video-assets/{asset['post_id']}{verb}"


def test_a_video_in_progress_can_be_cancelled_once(api: Client, world: World) -> None:
    asset = api.create().json()

    answer = api.post(path(asset, "/cancel"))
    again = api.post(path(asset, "/cancel"))

    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["error_code"]) == ("failed", "cancelled")
    assert again.status_code == 409
    assert (again.json()["code"], again.json()["status"]) == ("not_active", 409)
    assert world.events(asset["id"])[-1].actor == "owner:ana"


def test_a_completed_video_is_encoded_anew_and_plays_on(api: Client, world: World) -> None:
    asset = api.create().json()
    world.complete(asset["id"])

    answer = api.post(path(asset, "/reencode"))

    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["generation"]) == ("queued", 2)
    assert api.get(path(asset, "/playback"), as_=None).json()["playable"] is True
    again = api.post(path(asset, "/reencode"))
    assert (again.status_code, again.json()["code"]) == (409, "not_completed")


def test_what_is_started_over_beyond_what_may_be_in_flight_is_refused(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    monkeypatch.setenv("KHRONIKA_OWNER_MAX_LIVE", "1")
    with serving(monkeypatch) as api:
        completed = api.create().json()
        world.complete(completed["id"])
        failed = api.create().json()
        world.fail(failed["id"])
        api.create()
        post = {"post_id": failed["post_id"]}

        for answer in (
            api.post("/api/video-assets/retry", post),
            api.post(path(completed, "/reencode")),
        ):
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_in_flight")
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.json()["retryable"] is True
        assert api.operator("POST", path(completed, "/reencode")).status_code == 202


@pytest.mark.parametrize("status", [Status.QUEUED, Status.FAILED, Status.COMPLETED])
def test_a_deleted_video_is_gone_in_every_state_and_its_post_is_free(
    api: Client, world: World, status: Status
) -> None:
    asset = api.create().json()
    if status is Status.FAILED:
        world.fail(asset["id"])
    if status is Status.COMPLETED:
        world.complete(asset["id"])

    assert api.call("DELETE", path(asset)).status_code == 202

    for url in (path(asset), path(asset, "/events"), path(asset, "/playback")):
        assert api.get(url).status_code == 404
    assert api.call("DELETE", path(asset)).status_code == 404
    assert api.create(asset["post_id"]).status_code == 202
    assert world.asset(asset["id"]).deleted_at is not None


@pytest.mark.parametrize(
    ("method", "verb"), [("POST", "/cancel"), ("POST", "/reencode"), ("DELETE", "")]
)
def test_a_stranger_finds_nothing_to_change_and_a_reader_may_not(
    api: Client, world: World, method: str, verb: str
) -> None:
    asset = api.create().json()

    assert api.call(method, path(asset, verb), as_=STRANGER).status_code == 404
    assert api.call(method, path(asset, verb), as_=None).status_code == 401
    assert api.operator(method, path(asset, verb), role="operator_read").status_code == 403
    assert world.asset(asset["id"]).status is Status.QUEUED


def test_an_operator_may_cancel_anything(api: Client, world: World) -> None:
    asset = api.create().json()

    assert api.operator("POST", path(asset, "/cancel")).status_code == 202
    assert world.events(asset["id"])[-1].actor == "operator:ops"
