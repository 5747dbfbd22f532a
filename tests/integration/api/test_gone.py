"""Delete means gone: every address that was handed out is a 404 from the next request on."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from pipeline.access.api_keys import MadeKey, NewKey, make_key, revoke_key
from pipeline.content.media_tokens import TokenHolder, sign_object, sign_prefix
from pipeline.content.object_urls import output_prefix, poster_prefix
from pipeline.domain.states import Status
from pipeline.domain.values import Playback
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import OWNER, SECRET_KEY, Client, World
from tests.integration.api.following import following
from tests.integration.api.test_playback import FILES, PICTURES, publish

STABLE = ("manifest_url", "fallback_url", "poster_url", "storyboard_url")
GONE = {404}


def addresses(api: Client, world: World, asset: Mapping[str, Any]) -> list[str]:
    """Every address of a video that a viewer has after a look at it: stable ones and objects."""
    stable = [asset[name] for name in STABLE]
    final = [requests.get(url, timeout=60).url for url in stable]
    below = [f"{final[0].rpartition('/')[0]}/{name}" for name in FILES]
    row = world.asset(asset.get("id") or asset["asset_id"])
    token = final[0].removeprefix(f"{api.url}/media/").split("/")[0]
    objects = [getattr(row, name).removeprefix("storage:") for name in STABLE[:2]]
    named = [f"{api.url}/media/{token}/{key}" for key in objects]
    return list(dict.fromkeys([*stable, *final, *below, *named]))


def statuses(urls: list[str]) -> set[int]:
    """The answers to a GET, a HEAD and a part of each."""
    ways: list[tuple[str, dict[str, str]]] = [
        ("GET", {}),
        ("HEAD", {}),
        ("GET", {"Range": "bytes=0-0"}),
    ]
    return {
        requests.request(method, url, headers=headers, timeout=60).status_code
        for url in urls
        for method, headers in ways
    }


@pytest.mark.parametrize("playback", ["public", "signed"])
def test_a_deleted_video_is_gone_from_every_address_at_once(
    api: Client, world: World, playback: str
) -> None:
    asset = publish(api, world, playback=playback)
    urls = addresses(api, world, asset)
    assert len(urls) > len(STABLE)
    assert statuses(urls) == {200, 206}

    assert api.call("DELETE", f"/api/video-assets/{asset['post_id']}").status_code == 202

    assert statuses(urls) == GONE


def test_what_is_deleted_again_under_its_post_does_not_come_back(api: Client, world: World) -> None:
    asset = publish(api, world, playback="signed")
    urls = addresses(api, world, asset)
    api.call("DELETE", f"/api/video-assets/{asset['post_id']}")
    publish(api, world, playback="public", post_id=asset["post_id"])
    assert statuses(urls) == GONE


def test_a_video_whose_playback_is_restricted_is_gone_from_its_public_addresses(
    api: Client, world: World
) -> None:
    asset = publish(api, world)
    urls = addresses(api, world, asset)

    world.amend(asset["id"], playback="signed")

    assert statuses(urls) == GONE
    shown = api.get(f"/api/video-assets/{asset['post_id']}").json()
    assert statuses(addresses(api, world, shown)) == {200, 206}


def publish_partly(api: Client, world: World, *, generation: int = 1) -> tuple[str, list[str]]:
    """A video in progress whose first outputs are published; its post and its addresses."""
    asset = api.create().json()
    attempt_id, output_id = uuid4(), uuid4()
    whose = UUID(asset["id"]), attempt_id, Playback.PUBLIC
    prefix, pictures = output_prefix(*whose), poster_prefix(*whose)
    for folder, files in ((prefix, FILES), (pictures, PICTURES)):
        for name, content in files.items():
            api.services.storage.write(f"{folder}/{name}", [content])
    world.move(asset["id"], Status.PROCESSING, attempt_id=attempt_id)
    with session_of(world.engine) as session:
        session.connection().exec_driver_sql(
            "INSERT INTO provider_attempts (id, asset_id, generation, number, provider)"
            f" VALUES ('{attempt_id}', '{asset['id']}', {generation}, 1, 'selfhosted')"
        )
        session.connection().exec_driver_sql(
            "INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url,"
            " renditions, duration_sec, width, height, published_at)"
            f" VALUES ('{output_id}', '{asset['id']}', {generation}, '{attempt_id}',"
            f" 'storage:{prefix}/master.m3u8', '[]', 1, 2, 2, now())"
        )
    world.amend(
        asset["id"],
        published_output_id=output_id,
        manifest_url=f"storage:{prefix}/master.m3u8",
        fallback_url=f"storage:{prefix}/fallback/video.mp4",
        poster_url=f"storage:{pictures}/poster.jpg",
        storyboard_url=f"storage:{pictures}/storyboard.vtt",
    )
    shown = api.get(f"/api/video-assets/{asset['post_id']}").json()
    return asset["post_id"], addresses(api, world, shown)


def test_a_cancelled_video_is_gone_with_what_it_had_published(api: Client, world: World) -> None:
    post_id, urls = publish_partly(api, world)
    assert statuses(urls) == {200, 206}

    cancelled = api.post(f"/api/video-assets/{post_id}/cancel")

    assert (cancelled.status_code, cancelled.json()["playable"]) == (202, False)
    assert cancelled.json()["manifest_url"] is None
    assert statuses(urls) == GONE


def test_a_cancelled_re_encode_leaves_what_was_published_before_it(
    api: Client, world: World
) -> None:
    post_id, urls = publish_partly(api, world, generation=0)
    assert api.post(f"/api/video-assets/{post_id}/cancel").json()["playable"]
    assert statuses(urls) == {200, 206}


@pytest.fixture
def key(api: Client) -> MadeKey:
    with session_of(api.services.engines.operator) as session:
        wanted = NewKey("site", OWNER, ["assets:read", "assets:write"])
        return make_key(session, wanted, actor="operator:ops", source=None)


@pytest.fixture
def revoke(api: Client, key: MadeKey) -> Callable[[], object]:
    def act() -> None:
        with session_of(api.services.engines.operator) as session:
            revoke_key(session, key.row.id, actor="operator:ops", source=None)

    return act


def bearing(key: MadeKey) -> dict[str, Any]:
    return {"as_": None, "headers": {"Authorization": f"Bearer {key.key}"}}


def test_addresses_that_a_key_was_given_end_with_the_key(
    api: Client, world: World, key: MadeKey, revoke: Callable[[], object]
) -> None:
    asset = publish(api, world, playback="signed")
    cards = f"/api/video-assets?post_ids={asset['post_id']}"
    documents = [
        api.get(f"/api/video-assets/{asset['post_id']}", **bearing(key)).json(),
        api.get(f"/api/video-assets/{asset['post_id']}/playback", **bearing(key)).json(),
        api.get(cards, **bearing(key)).json()["assets"][0],
    ]
    urls = [url for shown in documents for url in addresses(api, world, shown)]
    assert statuses(urls) == {200, 206}

    revoke()

    assert statuses(urls) == GONE
    assert statuses(addresses(api, world, asset)) == {200, 206}


def test_a_stream_that_a_key_opened_ends_with_the_key_and_its_ticket_opens_none(
    api: Client, world: World, key: MadeKey, revoke: Callable[[], object]
) -> None:
    asset = publish(api, world, playback="signed")
    ticket = api.post("/api/stream-tickets", {}, **bearing(key)).json()["ticket"]
    with following(api.url, [asset["post_id"]], ticket=ticket) as stream:
        shown = stream.next().data
        urls = addresses(api, world, shown)
        revoke()
        assert list(stream.events()) == []
    assert statuses(urls) == GONE
    query = {"post_ids": asset["post_id"], "ticket": ticket}
    refused = api.get("/api/video-assets/stream", as_=None, params=query)
    assert (refused.status_code, refused.json()["code"]) == (401, "ticket_invalid")


def test_an_open_stream_tells_that_a_video_is_gone(api: Client, world: World) -> None:
    asset = publish(api, world)
    with following(api.url, [asset["post_id"]]) as stream:
        assert stream.next().type == "asset"
        api.call("DELETE", f"/api/video-assets/{asset['post_id']}")
        assert stream.next().type == "gone"


def test_an_upload_ticket_that_a_key_was_given_ends_with_the_key(
    api: Client, key: MadeKey, revoke: Callable[[], object]
) -> None:
    body = {"filename": "a.mp4", "size_bytes": 5, "mime_type": "video/mp4"}
    issued = api.post("/api/uploads", {**body, "post_id": str(uuid4())}, **bearing(key)).json()
    here = f"/api/uploads/{issued['upload_id']}"
    assert api.get(here, as_=None, headers=issued["headers"]).status_code == 200

    revoke()

    assert api.get(here, as_=None, headers=issued["headers"]).status_code == 404
    sent = api.call("PUT", f"{here}/content", as_=None, headers=issued["headers"], data=b"12345")
    assert sent.status_code == 404


@pytest.fixture
def source(api: Client, world: World) -> tuple[str, UUID, str]:
    """A video in progress with a stored source, its attempt, and the provider's address of it."""
    object_key = f"original/{OWNER}/holiday.mp4"
    attempt_id = uuid4()
    api.services.storage.write(object_key, [b"source"])
    asset = api.create(source_url=f"storage:{object_key}").json()
    world.move(asset["id"], Status.PROCESSING, attempt_id=attempt_id)
    with session_of(world.engine) as session:
        session.connection().exec_driver_sql(
            "INSERT INTO provider_attempts (id, asset_id, generation, number, provider,"
            f" intended_at) VALUES ('{attempt_id}', '{asset['id']}', 1, 1, 'selfhosted', now())"
        )
    token = sign_object(
        SECRET_KEY,
        object_key,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        holder=TokenHolder(UUID(asset["id"]), attempt_id),
    )
    url = f"{api.url}/media/{token}/{object_key}"
    assert statuses([url]) == {200, 206}
    return asset["post_id"], attempt_id, url


@pytest.mark.parametrize("verb", ["delete", "cancel"])
def test_a_providers_address_of_the_source_ends_with_the_video(
    api: Client, source: tuple[str, UUID, str], verb: str
) -> None:
    post_id, _, url = source
    if verb == "delete":
        api.call("DELETE", f"/api/video-assets/{post_id}")
    else:
        api.post(f"/api/video-assets/{post_id}/cancel")
    assert statuses([url]) == GONE


@pytest.mark.parametrize(
    "change",
    ["outcome = 'failed'", "outcome = 'completed'", "release_requested_at = now()"],
    ids=["failed", "completed", "given up"],
)
def test_a_providers_address_of_the_source_ends_with_the_attempt(
    world: World, source: tuple[str, UUID, str], change: str
) -> None:
    _post, attempt_id, url = source
    with session_of(world.engine) as session:
        session.connection().exec_driver_sql(
            f"UPDATE provider_attempts SET {change} WHERE id = '{attempt_id}'"
        )
    assert statuses([url]) == GONE


def test_a_token_that_depends_on_no_row_opens_nothing(api: Client, world: World) -> None:
    api.services.storage.write("original/ana/a.mp4", [b"source"])
    until = datetime.now(UTC) + timedelta(hours=1)
    token = sign_prefix(SECRET_KEY, "original/ana", expires_at=until)
    assert statuses([f"{api.url}/media/{token}/original/ana/a.mp4"]) == GONE


def test_no_shared_cache_keeps_what_is_signed_and_public_copies_can_be_found(
    api: Client, world: World
) -> None:
    for url in addresses(api, world, publish(api, world, playback="signed")):
        kept = requests.get(url, timeout=60, allow_redirects=False).headers
        assert (kept["Cache-Control"], "Surrogate-Key" in kept) == ("private, no-store", False)
    asset = publish(api, world)
    for url in addresses(api, world, asset):
        kept = requests.get(url, timeout=60, allow_redirects=False).headers
        assert kept["Surrogate-Key"] == kept["Cache-Tag"] == f"asset-{asset['id']}"
        immutable = "immutable" in kept["Cache-Control"]
        assert immutable is url.endswith(".m4s"), url
        assert immutable or kept["Cache-Control"] == "public, max-age=60, must-revalidate"


def test_a_replayed_answer_keeps_no_token_and_ends_with_the_video(
    api: Client, world: World
) -> None:
    asset = publish(api, world, playback="signed")
    again = {"Idempotency-Key": "k1"}
    first = api.post(f"/api/video-assets/{asset['post_id']}/reencode", headers=again)
    assert statuses(addresses(api, world, first.json())) == {200, 206}
    with session_of(api.services.engines.operator) as session:
        [kept] = session.connection().exec_driver_sql("SELECT response FROM idempotency_keys")
    assert "/media/" not in str(kept)
    replayed = api.post(f"/api/video-assets/{asset['post_id']}/reencode", headers=again)
    assert (replayed.json(), replayed.headers["Idempotency-Replayed"]) == (first.json(), "true")
    api.call("DELETE", f"/api/video-assets/{asset['post_id']}")
    replayed = api.post(f"/api/video-assets/{asset['post_id']}/reencode", headers=again)
    assert replayed.json()["manifest_url"] is None
