"""A holder of a provider's secret names outputs that are not that attempt's."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.domain.states import Status
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.steps import report
from tests.scripted_provider import callback


class Inside(ThreadingHTTPServer):
    """Somebody's service on an address of its own; it must never be asked anything."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.2", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.2:{self.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        inside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                inside.asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def inside() -> Iterator[Inside]:
    server = Inside()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_another_assets_files_are_refused_for_good_and_the_chronicle_says_which(
    world: World,
) -> None:
    victim, asset_id = world.create(), world.create()
    submit(world.services, asset_id)
    stolen = f"storage:processed/{victim}/{world.attempt_id(asset_id)}/master.m3u8"
    job = world.provider.finish(world.attempt_id(asset_id), manifest=stolen)
    received = world.receive(callback(job))
    assert received.wake is not None

    assert reconcile(world.services, received.wake.id).result == "failed"

    asset = world.asset(asset_id)
    assert (asset.status, asset.error_code) == (Status.FAILED, "output_misplaced")
    assert asset.manifest_url is None
    said = world.chronicle(asset_id)[-1].detail
    assert said["code"] == "output_misplaced"
    assert said["message"] == "the manifest lies outside of this attempt's prefixes"
    assert world.delivery(received.wake.id).status == "applied"


def test_a_poll_that_names_an_original_is_refused_too(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    world.provider.finish(world.attempt_id(asset_id), fallback="storage:original/ana/source.mp4")
    world.make_past(asset_id, "next_poll_at")

    poll(world.services, asset_id)

    assert world.asset(asset_id).error_code == "output_misplaced"


def test_a_host_that_is_not_the_accounts_is_not_even_asked(world: World, inside: Inside) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    job = world.provider.finish(world.attempt_id(asset_id), thumbnail=f"{inside.url}/thumb.jpg")
    report(world, job)

    assert world.asset(asset_id).error_code == "output_misplaced"
    assert inside.asked == []


HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n"
WHOLE = "#EXTINF:5.28,\na.ts\n#EXT-X-ENDLIST\n"
LEADING_AWAY = {
    "a segment": f"{HEAD}#EXTINF:5.28,\n{{url}}\n#EXT-X-ENDLIST\n",
    "a segment in the middle": f"{HEAD}#EXTINF:1,\na.ts\n#EXTINF:3.28,\n{{url}}\n#EXTINF:1,\nb.ts\n"
    "#EXT-X-ENDLIST\n",
    "a key": f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="{{url}}"\n{WHOLE}',
    "a map without quotes": f"{HEAD}#EXT-X-MAP:URI={{url}}\n{WHOLE}",
    "a map in small letters": f"{HEAD}#EXT-X-MAP:uri={{url}}\n{WHOLE}",
    "a segment within a comment": f"{HEAD}#EXTINF:5.28,\n#x\r{{url}}\n#EXT-X-ENDLIST\n",
    "a segment behind a control character": f"{HEAD}#EXTINF:5.28,\n\x01{{url}}\n#EXT-X-ENDLIST\n",
}


@pytest.mark.parametrize("text", LEADING_AWAY.values(), ids=LEADING_AWAY.keys())
def test_a_playlist_that_leads_away_is_refused_and_not_followed(
    world: World, inside: Inside, text: str
) -> None:
    _write(world.provider.folder, "leading.m3u8", text.format(url=f"{inside.url}/secret"))
    master = (world.provider.folder / "master.m3u8").read_text()
    _write(
        world.provider.folder, "leading-master.m3u8", master.replace("index.m3u8", "leading.m3u8")
    )
    asset_id = world.create()
    submit(world.services, asset_id)
    manifest = f"{world.provider.url}/out/leading-master.m3u8"
    report(world, world.provider.finish(world.attempt_id(asset_id), manifest=manifest))

    assert world.asset(asset_id).error_code in {"output_rejected", "output_misplaced"}
    assert (
        world.chronicle(asset_id)[-1]
        .detail["message"]
        .endswith(("leads away", "in quotes.", "forbidden in a playlist."))
    )
    assert inside.asked == []


def _write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
