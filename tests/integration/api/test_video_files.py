"""/media/videos/{asset_id}/…: addresses of outputs that no re-encode and no move breaks."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests
from sqlalchemy import text

from api.wiring.services import EXTENSION
from pipeline.content.media_tokens import sign_prefix
from pipeline.domain.states import Status
from pipeline.domain.values import ADDRESS_FIELDS
from pipeline.providers.adapters.selfhosted import SelfHosted
from pipeline.providers.base import Capabilities, OutputKind
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import SECRET_KEY, STRANGER, Client, World, serving
from tests.integration.api.following import following, ticket_of
from tests.integration.api.operator import signed_in
from tests.integration.api.test_playback import publish
from tests.scripted_provider import SECRET, TOKEN

HOST = "vod-1.fastly.vendor.example"
VENDOR = {
    "manifest_url": f"https://{HOST}/a1/master.m3u8",
    "fallback_url": f"https://{HOST}/a1/high.mp4",
    "poster_url": f"https://image.{HOST}/a1/poster.png",
    "thumbnail_url": f"https://image.{HOST}/a1/small.png",
    "storyboard_url": f"https://image.{HOST}/a1/storyboard.vtt",
}
NAMES = {
    "manifest_url": "manifest.m3u8",
    "fallback_url": "video.mp4",
    "poster_url": "poster.jpg",
    "thumbnail_url": "thumbnail.jpg",
    "storyboard_url": "storyboard.vtt",
}
DIRECT = {"poster_url"}
"""Outputs in our own storage that are read at their stable address itself."""


@pytest.fixture
def environment(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """A second account, whose outputs lie at a vendor."""
    account = {
        "KHRONIKA_ACCOUNTS": "selfhosted,vendor:selfhosted",
        "KHRONIKA_VENDOR_URL": "http://127.0.0.1:9",
        "KHRONIKA_VENDOR_TOKEN": TOKEN,
        "KHRONIKA_VENDOR_WEBHOOK_SECRETS": SECRET,
        "KHRONIKA_VENDOR_OUTPUT_HOSTS": "*.vendor.example",
        "KHRONIKA_STREAM_LOOK_SEC": "0.05",
    }
    for name, value in account.items():
        monkeypatch.setenv(name, value)
    return {**environment, **account}


def ask(url: str, method: str = "GET", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, url, headers=named, timeout=60, allow_redirects=False)


def follow(url: str, method: str = "GET", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, url, headers=named, timeout=60)


def publish_at_vendor(api: Client, world: World, **body: Any) -> dict[str, Any]:
    """A completed video whose outputs the account ``vendor`` has, as its owner sees it."""
    asset = api.create(title="Holiday", **body).json()
    switch_to_vendor(world, asset["id"])
    shown: dict[str, Any] = api.get(f"/api/video-assets/{asset['post_id']}").json()
    return shown


def switch_to_vendor(world: World, asset_id: str) -> None:
    attempt_id = uuid4()
    published = world.complete(asset_id, attempt_id)
    with session_of(world.engine) as session:
        ids = {"asset": UUID(asset_id), "attempt": attempt_id}
        session.execute(
            text("""INSERT INTO provider_attempts (id, asset_id, generation, number, provider)
                    VALUES (:attempt, :asset, 1, 1, 'vendor')"""),
            ids,
        )
        session.execute(
            text("""INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url,
                        renditions, duration_sec, width, height)
                    VALUES (:output, :asset, 1, :attempt, :manifest, '[]', 5.28, 1280, 720)"""),
            {**ids, "output": published.published_output_id, "manifest": VENDOR["manifest_url"]},
        )
    world.amend(asset_id, **VENDOR)


class SigningVendor(SelfHosted):
    """An account whose addresses need a signature."""

    capabilities = Capabilities(idempotent_submit=True, margin_sec=5, signed_playback=True)

    def sign(self, address: str, kind: OutputKind, until: datetime) -> str:
        return f"{address}?kind={kind}&until={int(until.timestamp())}"


@pytest.fixture
def signing(api: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    services = api.services
    [vendor] = [p for p in services.providers.values() if p.name == "vendor"]
    signer = SigningVendor.__new__(SigningVendor)
    vars(signer).update(vars(vendor))
    providers = {**services.providers, "vendor": signer}
    monkeypatch.setitem(api.app.extensions, EXTENSION, replace(services, providers=providers))
    return api


def test_every_output_of_a_vendor_is_a_redirect_that_is_kept_for_a_minute(
    api: Client, world: World
) -> None:
    asset = publish_at_vendor(api, world)
    for field, address in VENDOR.items():
        assert asset[field] == f"{api.url}/media/videos/{asset['id']}/{NAMES[field]}"
        for method in ("GET", "HEAD"):
            answer = ask(asset[field], method)
            assert (answer.status_code, answer.headers["Location"]) == (302, address)
            assert answer.headers["Cache-Control"] == "public, max-age=60, must-revalidate"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_a_signed_output_of_a_vendor_is_signed_for_as_long_as_the_address_lasts(
    signing: Client, world: World
) -> None:
    asset = publish_at_vendor(signing, world, playback="signed")
    until = int(datetime.fromisoformat(asset["urls_expire_at"]).timestamp())
    for field, address in VENDOR.items():
        answer = ask(asset[field])
        kind = field.removesuffix("_url")
        signed = f"{address}?kind={kind}&until={until}"
        assert (answer.status_code, answer.headers["Location"]) == (302, signed)
        assert answer.headers["Cache-Control"] == "private, no-store"
        unsigned = f"{signing.url}/media/videos/{asset['id']}/{NAMES[field]}"
        assert follow(unsigned).status_code == 404


def test_a_signed_output_whose_account_signs_nothing_is_not_given_away(
    api: Client, world: World
) -> None:
    asset = publish_at_vendor(api, world, playback="signed")
    answer = ask(asset["manifest_url"])
    assert (answer.status_code, answer.json()["code"]) == (503, "account_not_configured")
    assert HOST not in answer.text


@pytest.mark.parametrize("playback", ["public", "signed"])
def test_a_video_in_our_storage_is_one_redirect_away_and_its_picture_none(
    api: Client, world: World, playback: str
) -> None:
    asset = publish(api, world, playback=playback)
    for field in ADDRESS_FIELDS:
        if field == "thumbnail_url":
            continue
        answer = follow(asset[field])
        assert answer.status_code == 200
        assert [hop.status_code for hop in answer.history] == ([] if field in DIRECT else [302])
        assert answer.url.startswith(f"{api.url}/media/")


@pytest.mark.parametrize("playback", ["public", "signed"])
def test_head_range_and_tag_behave(api: Client, world: World, playback: str) -> None:
    asset = publish(api, world, playback=playback)
    for field, content in (("fallback_url", b"fallback"), ("poster_url", b"poster")):
        head = follow(asset[field], "HEAD")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(len(content))
        part = follow(asset[field], Range="bytes=1-3")
        assert (part.status_code, part.content) == (206, content[1:4])
        known = follow(asset[field], If_None_Match=head.headers["ETag"])
        assert known.status_code == 304


def test_a_picture_is_checked_again_after_a_minute(api: Client, world: World) -> None:
    asset = publish(api, world)
    answer = ask(asset["poster_url"])
    assert answer.headers["Cache-Control"] == "public, max-age=60, must-revalidate"
    assert answer.headers["ETag"]


def test_an_address_outlives_a_move_to_a_vendor(api: Client, world: World) -> None:
    asset = publish(api, world)
    path = f"/api/video-assets/{asset['post_id']}"
    world.move(asset["id"], Status.QUEUED, generation=2)
    assert follow(asset["manifest_url"]).status_code == 200
    switch_to_vendor(world, asset["id"])
    assert api.get(path).json()["manifest_url"] == asset["manifest_url"]
    assert ask(asset["manifest_url"]).headers["Location"] == VENDOR["manifest_url"]


def test_the_address_of_a_signed_video_is_the_same_for_a_while(api: Client, world: World) -> None:
    asset = publish_at_vendor(api, world, playback="signed")
    again = api.get(f"/api/video-assets/{asset['post_id']}").json()
    assert again["manifest_url"] == asset["manifest_url"]


@pytest.mark.parametrize("playback", ["public", "signed"])
@pytest.mark.parametrize("end", ["deleted", "unpublished"])
def test_a_deleted_or_unpublished_video_is_404(
    api: Client, world: World, end: str, playback: str
) -> None:
    asset = publish(api, world, playback=playback)
    if end == "deleted":
        api.call("DELETE", f"/api/video-assets/{asset['post_id']}")
    else:
        world.move(asset["id"], Status.QUEUED, generation=2, published_output_id=None)
    for field in ADDRESS_FIELDS:
        answer = follow(asset[field])
        assert (answer.status_code, answer.json()["code"]) == (404, "media_not_found")


@pytest.mark.parametrize("asset_id", ["1", "public", "%00"])
def test_an_id_that_is_none_is_404(api: Client, asset_id: str) -> None:
    answer = follow(f"{api.url}/media/videos/{asset_id}/manifest.m3u8")
    assert (answer.status_code, answer.json()["code"]) == (404, "media_not_found")


@pytest.mark.parametrize("name", ["master.m3u8", "MANIFEST.M3U8", "720p", "manifest_url"])
def test_another_name_is_404(api: Client, world: World, name: str) -> None:
    asset = publish(api, world)
    answer = follow(f"{api.url}/media/videos/{asset['id']}/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "media_not_found")


def test_an_output_that_the_provider_has_not_made_is_404(api: Client, world: World) -> None:
    asset = publish(api, world)
    world.amend(asset["id"], storyboard_url=None)
    shown = api.get(f"/api/video-assets/{asset['post_id']}").json()
    assert shown["storyboard_url"] is None
    assert follow(asset["storyboard_url"]).status_code == 404


def test_a_token_opens_no_other_video_and_ends(api: Client, world: World) -> None:
    one, other = (publish(api, world, playback="signed") for _ in range(2))
    token = one["manifest_url"].removeprefix(f"{api.url}/media/").partition("/")[0]
    answer = follow(f"{api.url}/media/{token}/videos/{other['id']}/manifest.m3u8")
    assert (answer.status_code, answer.json()["code"]) == (403, "media_token_invalid")
    ended = sign_prefix(SECRET_KEY, f"videos/{one['id']}", expires_at=datetime.now(UTC))
    answer = follow(f"{api.url}/media/{ended}/videos/{one['id']}/manifest.m3u8")
    assert (answer.status_code, answer.json()["code"]) == (403, "media_token_expired")


def test_a_token_of_a_stable_address_opens_no_file(api: Client, world: World) -> None:
    asset = publish(api, world, playback="signed")
    token = asset["manifest_url"].removeprefix(f"{api.url}/media/").partition("/")[0]
    key = follow(asset["manifest_url"]).url.removeprefix(f"{api.url}/media/").partition("/")[2]
    assert follow(f"{api.url}/media/{token}/{key}").status_code == 403


def test_no_cache_keeps_the_way_to_a_signed_output(api: Client, world: World) -> None:
    asset = publish(api, world, playback="signed")
    until = datetime.now(UTC) + timedelta(seconds=20)
    token = sign_prefix(SECRET_KEY, f"videos/{asset['id']}", expires_at=until)
    answer = ask(f"{api.url}/media/{token}/videos/{asset['id']}/manifest.m3u8")
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_only_listed_sites_read_a_signed_address_from_a_page(api: Client, world: World) -> None:
    asset = publish(api, world, playback="signed")
    listed = ask(asset["manifest_url"], Origin="https://site.example")
    assert listed.headers["Access-Control-Allow-Origin"] == "https://site.example"
    other = ask(asset["manifest_url"], Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in other.headers


def shown_anywhere(api: Client, asset: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Everything that a page, a site or an operator is sent about a video."""
    post_id = asset["post_id"]
    path = f"/api/video-assets/{post_id}"
    feed = {"post_ids": post_id}
    yield "owner's document", api.get(path).text
    yield "chronicle", api.get(f"{path}/events").text
    yield "operator's document", api.operator("GET", path).text
    yield "operators' list", api.operator("GET", "/api/video-assets?status=completed").text
    for as_ in (None, STRANGER, "ana"):
        yield f"playback for {as_}", api.get(f"{path}/playback", as_=as_).text
        yield f"cards for {as_}", api.get("/api/video-assets", as_=as_, params=feed).text
    for subject in (None, "ana"):
        ticket = subject and ticket_of(api.url, subject, "authenticated")
        with following(api.url, [post_id], ticket=ticket) as stream:
            yield f"stream for {subject}", json.dumps(stream.next().data)
    page = signed_in(api).get(f"/ops/assets/{asset['id']}")
    yield "console", page.answer.text


@pytest.mark.parametrize("playback", ["public", "signed"])
def test_nothing_that_anybody_is_sent_names_the_vendors_host(
    signing: Client, world: World, playback: str
) -> None:
    asset = publish_at_vendor(signing, world, playback=playback)
    sent = dict(shown_anywhere(signing, asset))
    assert len(sent) == 13
    assert "videos/" in sent["owner's document"]
    assert [name for name, body in sent.items() if "vendor.example" in body] == []


def policy_of(api: Client, asset: Mapping[str, Any]) -> dict[str, str]:
    page = signed_in(api).get(f"/ops/assets/{asset['id']}")
    policy = page.answer.headers["Content-Security-Policy"]
    return dict(part.strip().split(" ", 1) for part in policy.split(";"))


def test_the_pages_may_load_media_from_the_accounts_hosts_and_no_others(
    api: Client, world: World
) -> None:
    policy = policy_of(api, publish_at_vendor(api, world))
    for name in ("img-src", "media-src", "connect-src"):
        hosts = [source for source in policy[name].split() if "." in source]
        assert hosts == ["https://*.vendor.example"]
    assert policy["script-src"] == "'self'"


def test_without_hosts_of_accounts_the_pages_load_media_from_here_alone(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KHRONIKA_VENDOR_OUTPUT_HOSTS")
    with serving(monkeypatch) as api:
        policy = policy_of(api, api.create().json())
    assert not any("https:" in sources for sources in policy.values())
