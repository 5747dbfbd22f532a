"""The outputs at each vendor: who may read them, from where they may come, and how they go."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin
from uuid import UUID

import pytest
import requests

from pipeline.domain.states import Status
from pipeline.domain.values import ADDRESS_FIELDS, Phase, Playback
from pipeline.media.playlist import parse_master, parse_media
from pipeline.operations.purge import purge
from pipeline.providers.base import OutputKind
from tests.integration.pipeline.vendors.at_vendor import AtVendor

HOSTS = ["api_video", "cloudflare_stream", "mux"]


def addresses_of(at_vendor: AtVendor, asset_id: UUID) -> dict[OutputKind, str]:
    """The published addresses, as the row has them."""
    asset = at_vendor.world.asset(asset_id)
    named = {name: getattr(asset, name) for name in ADDRESS_FIELDS}
    return {OutputKind(k.removesuffix("_url")): v for k, v in named.items() if v is not None}


def status_of(address: str) -> int:
    with requests.get(address, timeout=5) as answer:
        return answer.status_code


def test_a_signed_video_is_completed_and_its_addresses_open_only_with_a_right(
    at_vendor: AtVendor,
) -> None:
    if not at_vendor.able.signed_playback:
        asset_id = at_vendor.create(Playback.SIGNED)
        assert at_vendor.submit(asset_id) == "held"
        assert at_vendor.world.asset(asset_id).hold_reason == "no_account"
        assert at_vendor.fake.jobs == {}
        return
    asset_id = at_vendor.submitted(Playback.SIGNED)
    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    assert at_vendor.world.asset(asset_id).status is Status.COMPLETED
    addresses = addresses_of(at_vendor, asset_id)
    if at_vendor.able.writes_to_our_storage:
        assert all(each.startswith("storage:protected/") for each in addresses.values())
        return
    sign = at_vendor.services.providers[at_vendor.account].sign
    until = datetime.now(UTC) + timedelta(minutes=1)
    for kind, address in addresses.items():
        assert status_of(address) in {401, 403}
        assert status_of(sign(address, kind, until)) == 200


@pytest.mark.parametrize("adapter", HOSTS, indirect=True)
def test_an_output_at_a_host_that_is_not_the_accounts_is_refused_before_it_is_fetched(
    at_vendor: AtVendor,
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    fake.media_url = fake.media_url.replace("127.0.0.1", "localhost")
    asset_id = at_vendor.submitted()

    at_vendor.tell(asset_id, Phase.COMPLETED)

    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, "output_misplaced")
    assert asset.published_output_id is None
    assert [url for url in fake.served if "localhost" in url] == []


def test_a_cancelled_job_is_ended_at_the_vendor(at_vendor: AtVendor) -> None:
    world = at_vendor.world
    asset_id = at_vendor.submitted()
    job = at_vendor.job(asset_id)

    at_vendor.cancel(asset_id)
    at_vendor.come_to_rest()

    assert (world.asset(asset_id).error_code, world.types(asset_id)[-1]) == (
        "cancelled",
        "released",
    )
    assert job.cancelled
    assert at_vendor.asked("delete") == 1


def test_a_deleted_video_is_deleted_at_the_vendor_or_in_our_storage(at_vendor: AtVendor) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()
    assert world.asset(asset_id).status is Status.COMPLETED

    at_vendor.delete(asset_id)
    at_vendor.come_to_rest()
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
    purge(at_vendor.services)

    [attempt] = at_vendor.attempts(asset_id)
    assert attempt.released_at is not None
    assert at_vendor.asked("delete") == 1
    assert list(at_vendor.services.storage.list("processed")) == []
    if fake.adapter in HOSTS:
        assert fake.billed == []


@pytest.mark.parametrize("playback", list(Playback))
@pytest.mark.parametrize("adapter", HOSTS, indirect=True)
def test_captions_reach_a_viewer_by_the_stable_address(
    at_vendor: AtVendor, playback: Playback
) -> None:
    if playback is Playback.SIGNED and not at_vendor.able.signed_playback:
        pytest.skip("it cannot restrict playback")
    at_vendor.fake.habits.add("captions")
    asset_id = at_vendor.submitted(playback)
    at_vendor.tell(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    post_id = at_vendor.world.asset(asset_id).post_id
    card = at_vendor.api.get(f"/api/video-assets/{post_id}", as_="ana").json()
    assert f"/videos/{asset_id}/manifest.m3u8" in card["manifest_url"]
    master = requests.get(card["manifest_url"], timeout=5)
    [captions] = parse_master(master.text).subtitles
    playlist = requests.get(urljoin(master.url, captions.uri), timeout=5)
    [segment] = parse_media(playlist.text).segments
    text = requests.get(urljoin(playlist.url, segment.uri), timeout=5).text
    assert (captions.label, captions.language) == ("English", "en")
    assert text.startswith("WEBVTT")
    assert "A walk." in text
    named = [
        each.detail["captions"]
        for each in at_vendor.world.chronicle(asset_id)
        if "captions" in each.detail
    ]
    assert named[-1] == [{"label": "English", "language": "en"}]
