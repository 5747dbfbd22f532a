"""An asset, its chronicle, its public view, and lists of them."""

from typing import Any
from uuid import uuid4

import pytest

from pipeline.domain.states import Status
from tests.integration.api.conftest import OWNER, STRANGER, Client, World, token

CARD_MEMBERS = {
    *("asset_id", "post_id", "status", "playable", "source", "progress", "manifest_url"),
    *("fallback_url", "poster_url", "thumbnail_url", "duration_sec", "width", "height"),
    *("updated_at", "title", "playback", "step", "storyboard_url", "urls_expire_at"),
}


def test_an_unchanged_asset_is_304_and_a_changed_one_is_not(api: Client, world: World) -> None:
    asset = api.create().json()
    path = f"/api/video-assets/{asset['post_id']}"
    first = api.get(path)
    known = {"If-None-Match": first.headers["ETag"]}
    again = api.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    world.fail(asset["id"])
    changed = api.get(path, headers=known)
    assert (changed.status_code, changed.json()["status"]) == (200, "failed")
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_progress_changes_the_tag_though_it_writes_no_event(api: Client, world: World) -> None:
    asset = api.create().json()
    world.move(asset["id"], Status.PROCESSING, progress=1.0)
    path = f"/api/video-assets/{asset['post_id']}"
    before = api.get(path).headers["ETag"]
    world.amend(asset["id"], progress=2.0)
    assert api.get(path).headers["ETag"] != before


def test_an_owners_answer_is_no_shared_caches(api: Client) -> None:
    answer = api.get(f"/api/video-assets/{api.create().json()['post_id']}")
    assert "private" in answer.headers["Cache-Control"]
    assert "Authorization" in answer.headers["Vary"]


def test_outputs_are_named_by_their_asset_wherever_they_lie(api: Client, world: World) -> None:
    asset = api.create().json()
    world.complete(asset["id"])
    shown = api.get(f"/api/video-assets/{asset['post_id']}").json()
    folder = f"{api.url}/media/videos/{asset['id']}"
    assert shown["manifest_url"] == f"{folder}/manifest.m3u8"
    assert shown["poster_url"] == f"{folder}/poster.jpg"
    assert shown["thumbnail_url"] == f"{folder}/thumbnail.jpg"
    assert (shown["playable"], shown["retryable"]) == (True, None)


@pytest.mark.parametrize("post", ["42", "not-a-uuid", "../create"])
def test_a_path_that_names_no_post_is_404(api: Client, post: str) -> None:
    assert api.get(f"/api/video-assets/{post}").status_code in {404, 405}


def test_an_owner_is_told_the_place_in_everybodys_queue_until_it_is_taken_up(
    api: Client, world: World
) -> None:
    first, mine = (api.create(as_=owner).json() for owner in (STRANGER, OWNER))
    path = f"/api/video-assets/{mine['post_id']}"

    def place() -> tuple[int | None, float | None]:
        shown = api.get(path).json()
        return shown["queue_position"], shown["queue_wait_sec"]

    assert place() == (2, None)
    world.move(first["id"], Status.PROCESSING)
    assert place() == (1, None)
    world.move(mine["id"], Status.PROCESSING)
    assert place() == (None, None)


def test_the_chronicle_is_read_in_pages_oldest_first(api: Client, world: World) -> None:
    asset = api.create().json()
    world.complete(asset["id"])
    path = f"/api/video-assets/{asset['post_id']}/events"
    seen: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = api.get(path, params={"after": after, "limit": 2}).json()
        assert len(page["events"]) <= 2
        seen += page["events"]
        after = page["next_after"]
    assert [event["seq"] for event in seen] == [1, 2, 3]
    assert [event["to_status"] for event in seen] == ["queued", "processing", "completed"]
    assert seen[0]["created_at"].endswith(("Z", "+00:00"))
    assert api.get(path).json()["events"] == seen


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"limit": 501}, "limit"),
        ({"limit": 0}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"after": -1}, "after"),
        ({"after": 2**63}, "after"),
        ({"before": 1}, "before"),
    ],
)
def test_a_query_of_another_shape_is_refused_by_name(
    api: Client, query: dict[str, Any], parameter: str
) -> None:
    post_id = api.create().json()["post_id"]
    answer = api.get(f"/api/video-assets/{post_id}/events", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter


def test_everybody_sees_the_public_view_and_no_internals(api: Client, world: World) -> None:
    asset = api.create(width=640, height=360).json()
    path = f"/api/video-assets/{asset['post_id']}/playback"
    waiting = api.get(path, as_=None).json()
    assert waiting.keys() == CARD_MEMBERS
    assert (waiting["status"], waiting["playable"], waiting["source"]) == ("queued", False, "none")
    assert (waiting["width"], waiting["height"], waiting["manifest_url"]) == (640, 360, None)
    world.complete(asset["id"])
    ready = api.get(path, as_=None).json()
    assert (ready["status"], ready["playable"], ready["source"]) == (
        "completed",
        True,
        "processed",
    )
    assert (ready["width"], ready["duration_sec"]) == (1280, 5.28)
    assert ready["manifest_url"] == f"{api.url}/media/videos/{asset['id']}/manifest.m3u8"


def test_the_public_view_has_a_tag(api: Client) -> None:
    path = f"/api/video-assets/{api.create().json()['post_id']}/playback"
    first = api.get(path, as_=None)
    known = {"If-None-Match": first.headers["ETag"]}
    assert api.get(path, as_=None, headers=known).status_code == 304


def test_the_public_view_is_the_same_for_everybody_and_may_be_kept(api: Client) -> None:
    answer = api.get(f"/api/video-assets/{api.create().json()['post_id']}/playback", as_=None)
    assert "public" in answer.headers["Cache-Control"]
    assert "Authorization" not in answer.headers["Vary"]


def test_a_post_without_a_video_has_no_public_view(api: Client) -> None:
    answer = api.get(f"/api/video-assets/{uuid4()}/playback", as_=None)
    assert (answer.status_code, answer.json()["code"]) == (404, "post_not_found")


def test_cards_come_in_the_order_asked_and_unknown_posts_have_none(api: Client) -> None:
    posts = [api.create(as_=owner).json()["post_id"] for owner in ("ana", "boris", "carla")]
    asked = [posts[2], str(uuid4()), posts[0], posts[2], posts[1]]
    answer = api.get("/api/video-assets", as_=None, params={"post_ids": ",".join(asked)})
    cards = answer.json()["assets"]
    assert [card["post_id"] for card in cards] == [posts[2], posts[0], posts[1]]
    assert all(card.keys() == CARD_MEMBERS for card in cards)


def test_with_a_token_a_feed_has_the_owners_document_of_ones_own_and_cards_of_the_rest(
    api: Client, world: World
) -> None:
    theirs, failed, waiting = (api.create(as_=who).json() for who in (STRANGER, OWNER, OWNER))
    world.fail(failed["id"])
    query = {"post_ids": ",".join(each["post_id"] for each in (failed, theirs, waiting))}
    answer = api.get("/api/video-assets", params=query)
    shown = answer.json()["assets"]
    assert [each.get("owner_id") for each in shown] == [OWNER, None, OWNER]
    assert shown[0] == api.get(f"/api/video-assets/{failed['post_id']}").json()
    assert shown[1].keys() == CARD_MEMBERS
    assert shown[2]["queue_position"] == 2
    assert "private" in answer.headers["Cache-Control"]
    assert "Authorization" in answer.headers["Vary"]


def test_a_feed_asked_for_with_a_token_that_is_none_is_refused(api: Client) -> None:
    headers = {"Authorization": "Bearer nonsense"}
    query = {"post_ids": str(uuid4())}
    answer = api.get("/api/video-assets", as_=None, headers=headers, params=query)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_a_hundred_cards_are_given_and_no_more(api: Client) -> None:
    for count, status in ((100, 200), (101, 422)):
        asked = ",".join(str(uuid4()) for _ in range(count))
        answer = api.get("/api/video-assets", as_=None, params={"post_ids": asked})
        assert answer.status_code == status


@pytest.mark.parametrize("asked", ["", ",", " , "])
def test_no_posts_have_no_cards(api: Client, asked: str) -> None:
    answer = api.get("/api/video-assets", as_=None, params={"post_ids": asked})
    assert (answer.status_code, answer.json()) == (200, {"assets": []})


@pytest.mark.parametrize(
    "query",
    [{}, {"post_ids": "a,b"}, {"post_ids": str(uuid4()), "status": "failed"}, {"status": "lost"}],
)
def test_a_list_needs_one_question_that_makes_sense(api: Client, query: dict[str, str]) -> None:
    assert api.get("/api/video-assets", as_=None, params=query).status_code == 422


@pytest.mark.parametrize("role", [None, "authenticated"])
def test_the_operators_list_is_closed_to_others(api: Client, role: str | None) -> None:
    headers = {} if role is None else {"Authorization": f"Bearer {token(role=role)}"}
    answer = api.get("/api/video-assets", as_=None, headers=headers, params={"status": "failed"})
    assert answer.status_code == (401 if role is None else 403)


def test_the_operators_list_is_paged_by_key_and_loses_nothing_to_new_rows(
    api: Client, world: World
) -> None:
    failed = [api.create(as_=f"owner-{n}").json()["id"] for n in range(5)]
    for asset_id in failed:
        world.fail(asset_id)
    api.create()
    seen: list[str] = []
    path = "/api/video-assets?status=failed&limit=2"
    page = api.operator("GET", path).json()
    while True:
        seen += [asset["id"] for asset in page["assets"]]
        if page["next_cursor"] is None:
            break
        # Whatever fails meanwhile comes before what is being paged through.
        world.fail(api.create().json()["id"])
        page = api.operator("GET", f"{path}&cursor={page['next_cursor']}").json()
    assert seen == failed[::-1]


@pytest.mark.parametrize("cursor", ["x", "%00", "MjAyNg==", "bm93IDEyMw==", "é"])
def test_a_cursor_that_this_list_did_not_hand_out_is_refused(api: Client, cursor: str) -> None:
    answer = api.operator("GET", f"/api/video-assets?status=failed&cursor={cursor}")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "cursor")


def test_a_retry_queues_again_and_wakes_a_worker(api: Client, world: World) -> None:
    asset = api.create().json()
    world.fail(asset["id"])
    answer = api.post("/api/video-assets/retry", {"post_id": asset["post_id"]})
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["error_code"]) == ("queued", None)
    assert world.events(asset["id"])[-1].type == "retried"


def test_only_a_failed_video_is_retried_and_the_answer_says_what_it_is(api: Client) -> None:
    asset = api.create().json()
    answer = api.post("/api/video-assets/retry", {"post_id": asset["post_id"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_failed")
    assert answer.json()["current"] == {"status": "queued", "attempt": 0}


@pytest.mark.parametrize("body", [{}, {"post_id": "x"}, {"post_id": str(uuid4()), "force": True}])
def test_a_retry_of_another_shape_is_refused(api: Client, body: dict[str, Any]) -> None:
    assert api.post("/api/video-assets/retry", body).status_code == 422


def test_a_held_video_says_what_it_waits_for(api: Client, world: World) -> None:
    asset = api.create().json()
    assert (asset["hold_reason"], asset["hold_message"]) == (None, None)
    world.amend(asset["id"], hold_reason="spend_guard")
    shown = api.get(f"/api/video-assets/{asset['post_id']}").json()
    assert shown["hold_reason"] == "spend_guard"
    assert "budget" in shown["hold_message"]


def test_an_owner_reads_the_differences_of_the_published_outputs(api: Client, world: World) -> None:
    asset = api.create().json()
    path = f"/api/video-assets/{asset['post_id']}"
    assert api.get(path).json()["warnings"] == []
    world.complete(asset["id"])
    world.amend(asset["id"], warnings=[{"code": "sound_left_out", "detail": "ac4"}])

    [warning] = api.get(path).json()["warnings"]

    assert warning["code"] == "sound_left_out"
    assert warning["message"].startswith("The sound of this video could not be read")
    assert "warnings" not in api.get(f"{path}/playback").json()
