"""Signed playback: who is given addresses that work, and for how long."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import requests

from pipeline.access.api_keys import NewKey, make_key
from pipeline.content.media_tokens import sign_prefix
from pipeline.content.object_urls import FILE_NAMES
from pipeline.domain.states import Status
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import (
    OWNER,
    SECRET_KEY,
    STRANGER,
    Client,
    World,
    serving,
    token,
)

NOTHING = str(uuid4())
STORED = ("manifest_url", "fallback_url", "poster_url", "storyboard_url")
FILES = {
    "master.m3u8": b"#EXTM3U\n",
    "720p/index.m3u8": b"#EXTM3U\n",
    "720p/seg_00000.m4s": b"segment",
    "fallback/video.mp4": b"fallback",
}
PICTURES = {"poster.jpg": b"poster", "storyboard.vtt": b"WEBVTT\n"}


def publish(api: Client, world: World, **body: Any) -> dict[str, Any]:
    """A completed video with files behind every address, as its owner sees it."""
    asset = api.create(title="Holiday", **body).json()
    published = world.complete(asset["id"])
    for address, files in ((published.manifest_url, FILES), (published.poster_url, PICTURES)):
        assert address is not None
        folder = address.removeprefix("storage:").rpartition("/")[0]
        for name, content in files.items():
            api.services.storage.write(f"{folder}/{name}", [content])
    shown: dict[str, Any] = api.get(f"/api/video-assets/{asset['post_id']}").json()
    return shown


def card(api: Client, asset: Mapping[str, Any], **options: Any) -> requests.Response:
    options.setdefault("as_", None)
    return api.get(f"/api/video-assets/{asset['post_id']}/playback", **options)


def opened(url: str) -> str:
    """Return the address that answers in the end."""
    return fetch(url).url


def fetch(url: str) -> requests.Response:
    return requests.get(url, timeout=60)


def test_a_signed_videos_addresses_work_for_its_owner_and_lead_to_everything_below(
    api: Client, world: World
) -> None:
    asset = publish(api, world, playback="signed")
    assert asset["playback"] == "signed"
    base = fetch(asset["manifest_url"]).url.rpartition("/")[0]
    for name, content in FILES.items():
        assert fetch(f"{base}/{name}").content == content
    for name in STORED:
        assert fetch(asset[name]).status_code == 200


def test_a_signed_video_is_nothing_that_everybody_may_read(api: Client, world: World) -> None:
    asset = publish(api, world, playback="signed")
    row = world.asset(asset["id"])
    for name in STORED:
        _, _, path = asset[name].removeprefix(f"{api.url}/media/").partition("/")
        for address in (path, f"public/{getattr(row, name).removeprefix('storage:')}"):
            answer = fetch(f"{api.url}/media/{address}")
            assert (answer.status_code, answer.json()["code"]) == (404, "media_not_found")


CHANGES_OF_AN_ANSWER = ("Date", "X-Request-Id", "RateLimit-Remaining", "RateLimit-Reset")


def same_but_for_names(answer: requests.Response, post_id: str) -> tuple[Any, ...]:
    """All of an answer but for its own id, its time and the post that it was asked about."""
    shape = answer.text.replace(post_id, "POST").replace(answer.headers["X-Request-Id"], "REQUEST")
    headers = {k: v for k, v in answer.headers.items() if k not in CHANGES_OF_AN_ANSWER}
    return answer.status_code, shape, headers


@pytest.mark.parametrize("as_", [None, STRANGER], ids=["nobody", "a stranger"])
def test_without_a_right_a_signed_video_cannot_be_told_from_none(
    api: Client, world: World, as_: str | None
) -> None:
    signed = publish(api, world, playback="signed")
    unready = api.create(playback="signed").json()
    none = str(uuid4())
    asked: tuple[Callable[[str], requests.Response], ...] = (
        lambda post: api.get(f"/api/video-assets/{post}/playback", as_=as_),
        lambda post: api.call("HEAD", f"/api/video-assets/{post}/playback", as_=as_),
        lambda post: api.get("/api/video-assets", as_=as_, params={"post_ids": post}),
        lambda post: api.get(f"/api/video-assets/{post}/playback?x=1", as_=as_),
    )
    for number, ask in enumerate(asked):
        nothing = same_but_for_names(ask(none), none)
        for asset in (signed, unready):
            post_id = asset["post_id"]
            assert same_but_for_names(ask(post_id), post_id) == nothing, number
    refused = card(api, signed, as_=as_)
    assert (refused.status_code, refused.json()["code"]) == (404, "post_not_found")


def test_an_object_of_a_signed_video_cannot_be_told_from_none(api: Client, world: World) -> None:
    asset, other = (publish(api, world, playback="signed") for _ in range(2))
    for name in STORED:
        token_, _, key = asset[name].removeprefix(f"{api.url}/media/").partition("/")
        missing = key.replace(asset["id"], str(uuid4()))
        foreign = other[name].removeprefix(f"{api.url}/media/").partition("/")[0]
        for opening in ("public", foreign, "x", f"{token_}x"):
            there = api.get(f"/media/{opening}/{key}", as_=None)
            gone = api.get(f"/media/{opening}/{missing}", as_=None)
            assert there.status_code in {403, 404}
            assert same_but_for_names(there, key) == same_but_for_names(gone, missing), opening
    for opening in ("", "public/", "x/"):
        for name in FILE_NAMES.values():
            there = api.get(f"/media/{opening}videos/{asset['id']}/{name}", as_=None)
            gone = api.get(f"/media/{opening}videos/{NOTHING}/{name}", as_=None)
            assert there.status_code in {403, 404}
            assert same_but_for_names(there, asset["id"]) == same_but_for_names(gone, NOTHING)


@pytest.mark.parametrize("role", ["authenticated", "service_role", "operator_read"])
def test_a_server_with_a_right_gets_a_card_whose_addresses_work_for_a_while(
    api: Client, world: World, role: str
) -> None:
    asset = publish(api, world, playback="signed")
    subject = OWNER if role == "authenticated" else "ops"
    headers = {"Authorization": f"Bearer {token(subject, role=role)}"}
    shown = card(api, asset, headers=headers).json()
    assert (shown["source"], shown["title"]) == ("processed", "Holiday")
    for name in STORED:
        assert fetch(shown[name]).status_code == 200
    left = datetime.fromisoformat(shown["urls_expire_at"]) - datetime.now(UTC)
    lifetime = timedelta(seconds=api.services.settings.media_urls.playback_expires_sec)
    assert timedelta(0) < left <= lifetime * 1.25


@pytest.mark.parametrize(
    ("owner_id", "scope", "source"),
    [
        (OWNER, "playback", "processed"),
        (OWNER, "assets:read", "processed"),
        (STRANGER, "playback", None),
        (None, "operator:read", "processed"),
    ],
)
def test_a_servers_key_gets_addresses_of_its_owners_videos(
    api: Client, world: World, owner_id: str | None, scope: str, source: str | None
) -> None:
    asset = publish(api, world, playback="signed")
    with session_of(api.services.engines.operator) as session:
        made = make_key(
            session, NewKey("site", owner_id, [scope]), actor="operator:ops", source=None
        )
    shown = card(api, asset, headers={"Authorization": f"Bearer {made.key}"})
    assert (shown.status_code, shown.json().get("source")) == (200 if source else 404, source)


def test_a_token_that_is_none_is_refused_rather_than_overlooked(api: Client, world: World) -> None:
    asset = publish(api, world)
    answer = card(api, asset, headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_the_addresses_of_one_signed_video_open_no_other(api: Client, world: World) -> None:
    one, other = (publish(api, world, playback="signed") for _ in range(2))
    for name in STORED:
        for mine, theirs in ((one[name], other[name]), (opened(one[name]), opened(other[name]))):
            media_token = mine.removeprefix(f"{api.url}/media/").partition("/")[0]
            path = theirs.removeprefix(f"{api.url}/media/").partition("/")[2]
            answer = fetch(f"{api.url}/media/{media_token}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (403, "media_token_invalid")


def test_an_address_that_has_ended_says_so(api: Client, world: World) -> None:
    asset = publish(api, world, playback="signed")
    key = asset["manifest_url"].removeprefix(f"{api.url}/media/").partition("/")[2]
    ended = sign_prefix(SECRET_KEY, key.rpartition("/")[0], expires_at=datetime.now(UTC))
    answer = fetch(f"{api.url}/media/{ended}/{key}")
    assert (answer.status_code, answer.json()["code"]) == (403, "media_token_expired")


def test_a_signed_card_is_no_shared_caches_and_its_tag_holds(api: Client, world: World) -> None:
    asset = publish(api, world, playback="signed")
    first = card(api, asset, as_=OWNER)
    assert "private" in first.headers["Cache-Control"]
    assert "Authorization" in first.headers["Vary"]
    known = {"If-None-Match": first.headers["ETag"]}
    assert card(api, asset, as_=OWNER, headers=known).status_code == 304


def test_a_public_videos_card_is_the_same_for_its_owner_and_may_be_kept(
    api: Client, world: World
) -> None:
    asset = publish(api, world)
    everybodys, owners = card(api, asset), card(api, asset, as_=OWNER)
    assert everybodys.json() == owners.json()
    assert everybodys.json()["title"] == "Holiday"
    assert everybodys.json()["urls_expire_at"] is None
    assert "public" in owners.headers["Cache-Control"]


def test_the_policy_of_a_registered_video_is_not_changed_by_registering_it_again(
    api: Client,
) -> None:
    post_id = uuid4()
    asset = api.create(post_id, playback="signed").json()
    refused = api.create(post_id, playback="public")
    assert (refused.status_code, refused.json()["code"]) == (409, "playback_differs")
    assert refused.json()["current"] == {"asset_id": asset["id"], "playback": "signed"}
    for body in ({}, {"playback": "signed"}):
        assert api.create(post_id, **body).status_code == 200


def test_the_sites_policy_holds_where_the_body_says_nothing(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_PLAYBACK", "signed")
    with serving(monkeypatch) as api:
        assert api.create().json()["playback"] == "signed"
        assert api.create(playback="public").json()["playback"] == "public"


@pytest.mark.parametrize("as_", [None, OWNER])
def test_a_page_is_told_what_is_going_on(api: Client, world: World, as_: str | None) -> None:
    asset = api.create().json()
    assert card(api, asset, as_=as_).json()["step"] is None
    world.move(asset["id"], Status.PROCESSING)
    assert card(api, asset, as_=as_).json()["step"] == "verifying"
    world.amend(asset["id"], provider_job_id="job-1")
    assert card(api, asset, as_=as_).json()["step"] == "waiting"
    world.amend(asset["id"], progress=40.0)
    assert card(api, asset, as_=as_).json()["step"] == "encoding"
    assert api.get(f"/api/video-assets/{asset['post_id']}").json()["step"] == "encoding"


def test_why_a_video_failed_is_its_owners_business(api: Client, world: World) -> None:
    asset = api.create().json()
    world.fail(asset["id"])
    shown = card(api, asset)
    assert shown.json()["status"] == "failed"
    assert "source_unreachable" not in shown.text
