"""A video that is withdrawn leaves storage and CDN at once; a CDN is asked until it answers."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from pipeline.config.task_names import TASK_WITHDRAW, wake_withdraw
from pipeline.lifecycle.sweep import sweep
from pipeline.net.signatures import verify
from pipeline.operations.purge import purge
from pipeline.operations.withdraw import withdraw
from pipeline.records.cache_purges import LONGEST_WAIT_SEC, owed_purges, wait_sec
from pipeline.records.models import CachePurge
from pipeline.runtime.database import session_of
from pipeline.services import Services
from tests.integration.pipeline.conftest import World, with_changed
from tests.integration.pipeline.steps import cancel, complete, delete, reencode
from tests.scripted_provider import SECRET

BEARER = "cdn-token-0123456789"


class StubCdn(ThreadingHTTPServer):
    """A CDN that takes purges, or answers with an error."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Purges)
        self.status = 200
        self.taken: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/purge/{{asset_id}}"


class _Purges(BaseHTTPRequestHandler):
    server: StubCdn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cdn() -> Iterator[StubCdn]:
    with StubCdn() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fronted(world: World, cdn: StubCdn) -> Services:
    changed = {
        "purge_url": cdn.url,
        "purge_token": SecretStr(BEARER),
        "purge_secret": SecretStr(SECRET),
    }
    return with_changed(world.services, "cdn", **changed)


def owed(world: World) -> list[CachePurge]:
    with session_of(world.services.engine) as session:
        return list(session.scalars(select(CachePurge).order_by(CachePurge.created_at)))


def make_due(world: World) -> None:
    world.execute("UPDATE cache_purges SET next_try_at = now() WHERE done_at IS NULL")


def test_a_deletion_is_sent_to_the_cdn_signed_with_every_address(
    world: World, cdn: StubCdn
) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    assert wake_withdraw(asset_id) in delete(world, asset_id).wakes

    assert withdraw(fronted(world, cdn), asset_id).result == "purged after deleted"

    [(path, headers, body)] = cdn.taken
    assert path == f"/purge/{asset_id}"
    assert headers["Authorization"] == f"Bearer {BEARER}"
    assert verify(headers, body, [SECRET], now=datetime.now(UTC)).id == str(owed(world)[0].id)
    sent = json.loads(body)
    base = world.services.settings.media_urls.base_url
    assert (sent["reason"], sent["surrogate_key"]) == ("deleted", f"asset-{asset_id}")
    assert f"{base}/media/videos/{asset_id}/manifest.m3u8" in sent["urls"]
    folders = [f"{base}/media/public/{root}/{asset_id}/" for root in ("processed", "posters")]
    assert sent["prefixes"] == folders
    assert withdraw(fronted(world, cdn), asset_id).result == "nothing_owed"


def test_a_cdn_that_is_down_is_asked_again_until_it_answers_and_nothing_is_lost(
    world: World, cdn: StubCdn
) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    delete(world, asset_id)
    services = fronted(world, cdn)
    cdn.status = 503
    for tries in (1, 2, 3):
        assert withdraw(services, asset_id).result == "waiting: the CDN answered 503"
        [row] = owed(world)
        assert (row.tries, row.error, row.done_at) == (tries, "the CDN answered 503", None)
        assert withdraw(services, asset_id).result == "nothing_owed"  # not before its wait is over
        make_due(world)
    with session_of(world.operator) as session:
        assert owed_purges(session).total == 1
    wakes = sweep(services).wakes
    assert [wake.id for wake in wakes if wake.task == TASK_WITHDRAW] == [asset_id]

    cdn.status = 204
    assert withdraw(services, asset_id).result == "purged after deleted"
    assert len(cdn.taken) == 4
    with session_of(world.operator) as session:
        assert owed_purges(session) == (0, 0.0)


def test_a_cdn_that_does_not_listen_or_redirects_has_not_purged(world: World, cdn: StubCdn) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    delete(world, asset_id)
    nobody = with_changed(fronted(world, cdn), "cdn", purge_url="http://127.0.0.1:9/")
    assert withdraw(nobody, asset_id).result == "waiting: ConnectionError"
    make_due(world)
    cdn.status = 302
    assert withdraw(fronted(world, cdn), asset_id).result == "waiting: the CDN answered 302"
    assert BEARER not in str([row.error for row in owed(world)])


def test_the_wait_between_two_tries_is_bounded() -> None:
    assert [wait_sec(tries) for tries in (1, 2, 3)] == [2.0, 4.0, 8.0]
    assert wait_sec(10_000) == LONGEST_WAIT_SEC


def test_a_new_encode_purges_the_old_ways_and_a_first_one_nothing(
    world: World, cdn: StubCdn
) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    assert owed(world) == []
    reencode(world, asset_id)
    complete(world, asset_id)
    assert [row.reason for row in owed(world)] == ["replaced"]
    assert withdraw(fronted(world, cdn), asset_id).result == "purged after replaced"
    assert json.loads(cdn.taken[0][2])["reason"] == "replaced"


def test_a_change_to_signed_is_purged_whoever_made_it(world: World, cdn: StubCdn) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    world.execute("UPDATE video_assets SET playback = 'signed'")
    assert withdraw(fronted(world, cdn), asset_id).result == "purged after signed"
    assert json.loads(cdn.taken[0][2])["reason"] == "signed"


def test_all_that_a_video_owes_is_one_request(world: World, cdn: StubCdn) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    for _ in range(2):
        reencode(world, asset_id)
        complete(world, asset_id)
    delete(world, asset_id)

    assert withdraw(fronted(world, cdn), asset_id).result == "purged after deleted, replaced"

    [(_, headers, body)] = cdn.taken
    rows = owed(world)
    assert len(rows) == 3
    assert all(row.done_at for row in rows)
    assert verify(headers, body, [SECRET], now=datetime.now(UTC)).id == str(rows[-1].id)
    assert json.loads(body)["reason"] == "deleted"


def test_a_request_with_another_row_has_another_id(world: World, cdn: StubCdn) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    reencode(world, asset_id)
    complete(world, asset_id)
    cdn.status = 503
    withdraw(fronted(world, cdn), asset_id)
    delete(world, asset_id)
    make_due(world)
    cdn.status = 200
    withdraw(fronted(world, cdn), asset_id)

    ids = [headers["webhook-id"] for _, headers, _ in cdn.taken]
    assert ids == [str(row.id) for row in owed(world)]


def test_a_video_that_no_cdn_may_have_kept_is_not_purged_there(world: World, cdn: StubCdn) -> None:
    asset_id = world.create()
    attempt_id = complete(world, asset_id)
    # It was signed from the start: its answers were private.
    world.execute_past_triggers("UPDATE video_assets SET playback = 'signed'")
    storage = world.services.storage
    storage.write(f"protected/processed/{asset_id}/{attempt_id}/master.m3u8", [b"#EXTM3U"])
    delete(world, asset_id)

    assert withdraw(fronted(world, cdn), asset_id).result == "purged after deleted"

    assert cdn.taken == []
    assert [row.done_at is None for row in owed(world)] == [False]
    assert list(storage.list("protected")) == []


def test_a_video_that_was_public_until_now_is_purged_with_its_public_folders(
    world: World, cdn: StubCdn
) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    world.execute("UPDATE video_assets SET playback = 'signed'")
    delete(world, asset_id)

    withdraw(fronted(world, cdn), asset_id)

    [(_, _, body)] = cdn.taken
    sent = json.loads(body)
    base = world.services.settings.media_urls.base_url
    assert (sent["reason"], sent["surrogate_key"]) == ("deleted", f"asset-{asset_id}")
    assert f"{base}/media/public/processed/{asset_id}/" in sent["prefixes"]


def test_a_deleted_videos_files_are_removed_at_once_and_again_after_a_day(world: World) -> None:
    asset_id, other = world.create(), world.create()
    attempt_id, kept = complete(world, asset_id), complete(world, other)
    storage = world.services.storage
    written = f"processed/{asset_id}/{attempt_id}/720p/seg_00000.m4s"
    beside = f"processed/{other}/{kept}/720p/seg_00000.m4s"
    for key in (written, beside):
        storage.write(key, [b"segment"])
    delete(world, asset_id)

    withdraw(world.services, asset_id)

    assert [stat.key for stat in storage.list("processed")] == [beside]
    storage.write(written, [b"late"])  # by a transcoder that had not heard of it
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
    purge(world.services)
    assert [stat.key for stat in storage.list("processed")] == [beside]


def test_no_retired_output_of_an_earlier_generation_goes_with_a_cancelled_re_encode(
    world: World,
) -> None:
    asset_id = world.create()
    attempt_id = complete(world, asset_id)
    storage, key = world.services.storage, f"processed/{asset_id}/{attempt_id}/master.m3u8"
    storage.write(key, [b"#EXTM3U"])
    reencode(world, asset_id)
    changed = cancel(world, asset_id)
    assert changed.asset.published_output_id is not None
    assert owed(world) == []
    assert withdraw(world.services, asset_id).result == "nothing_owed"
    assert [stat.key for stat in storage.list("processed")] == [key]
