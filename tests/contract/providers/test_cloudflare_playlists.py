"""The playlists of Cloudflare Stream, which climb to their segments."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from pipeline.domain.values import Phase, Playback
from pipeline.media.playlist import parse_master, parse_media
from pipeline.providers.base import OutputKind
from tests.vendors.accounts import account_at, job_of, request_of
from tests.vendors.cloudflare_stream import FakeCloudflareStream
from tests.vendors.fake import serving


@pytest.mark.parametrize("habit", ["ts", "fmp4"])
def test_the_token_in_a_path_opens_every_segment_that_its_playlists_climb_to(
    habit: str, vendor_outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = FakeCloudflareStream(vendor_outputs)
    stream.habits = {habit}
    with serving(stream), account_at(stream, monkeypatch) as account:
        request = request_of(playback=Playback.SIGNED)
        job = job_of(stream, request, account.submit(request).provider_job_id)
        stream.move(job.provider_job_id or "", Phase.PLAYABLE)
        status = account.fetch(job)
        assert status is not None
        assert status.outputs is not None
        until = stream.now() + timedelta(hours=1)
        master = account.sign(status.outputs.manifest_url, OutputKind.MANIFEST, until)

        variant = urljoin(master, parse_master(_text(master)).variants[0].uri)
        addresses = parse_media(_text(variant)).addresses

        assert all(address.startswith("../../") for address in addresses)
        assert any(address.endswith(".m4s") for address in addresses) is (habit == "fmp4")
        assert {_status_of(urljoin(variant, address)) for address in addresses} == {200}
        without = urljoin(status.outputs.manifest_url, "index.m3u8")
        assert _status_of(without) == 401


def _text(url: str) -> str:
    with requests.get(url, timeout=5) as answer:
        assert answer.status_code == 200
        return answer.text


def _status_of(url: str) -> int:
    with requests.get(url, timeout=5) as answer:
        return answer.status_code
