"""/media over a storage that serves by itself: playlists from here, the rest from the bucket."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from pipeline.content.media_tokens import sign_prefix
from pipeline.net.fetch import GuardedFetcher, Version
from pipeline.services import own_policy
from tests.buckets import CREDENTIALS, S3Server, moto_server
from tests.integration.api.conftest import SECRET_KEY, Client, World, serving
from tests.integration.api.fixed_assets import (
    FOLDER,
    PICTURES,
    PROTECTED_FOLDER,
    make_fixed_assets,
)
from tests.integration.api.test_playback import publish

CONTENT = bytes(range(256)) * 10
SEGMENT, PLAYLIST = f"{FOLDER}/720p/seg_00000.m4s", f"{FOLDER}/master.m3u8"
PROTECTED = f"{PROTECTED_FOLDER}/720p/seg_00000.m4s"


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def api(
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    bucket_server: S3Server,
    world: World,
) -> Iterator[Client]:
    monkeypatch.setenv("STORAGE_URL", bucket_server.make_bucket())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secret)
    with serving(monkeypatch) as client:
        make_fixed_assets(client, world)
        for key in (SEGMENT, PROTECTED, "original/ana/p/u/source.mp4"):
            client.services.storage.write(key, [CONTENT])
        client.services.storage.write(PLAYLIST, [b"#EXTM3U\n"])
        yield client


def signed(key: str, *, lasts: timedelta = timedelta(minutes=5)) -> str:
    token = sign_prefix(SECRET_KEY, key.rpartition("/")[0], expires_at=datetime.now(UTC) + lasts)
    return f"/media/{token}/{key}"


def ask(api: Client, path: str, **options: object) -> requests.Response:
    return api.get(path, as_=None, allow_redirects=False, **options)


def test_a_segment_comes_from_the_bucket_in_the_part_that_was_asked_for(api: Client) -> None:
    for path in (f"/media/public/{SEGMENT}", signed(PROTECTED)):
        answer = ask(api, path)
        assert (answer.status_code, answer.content) == (307, b"")
        assert urlsplit(answer.headers["Location"]).netloc != urlsplit(api.url).netloc
        part = api.get(path, as_=None, headers={"Range": "bytes=5-9"}, allow_redirects=False)
        given = requests.get(part.headers["Location"], headers={"Range": "bytes=5-9"}, timeout=60)
        assert (given.status_code, given.content) == (206, CONTENT[5:10])


def test_the_buckets_address_ends_no_later_than_the_token(api: Client) -> None:
    location = ask(api, signed(PROTECTED, lasts=timedelta(seconds=90))).headers["Location"]
    [lasts_sec] = parse_qs(urlsplit(location).query)["X-Amz-Expires"]
    assert 0 < int(lasts_sec) <= 90


def test_a_redirect_of_a_signed_address_is_nobodys_to_keep(api: Client) -> None:
    assert ask(api, signed(PROTECTED)).headers["Cache-Control"] == "private, no-store"
    kept = ask(api, f"/media/public/{SEGMENT}").headers["Cache-Control"]
    assert kept == "public, max-age=60"


def test_a_playlist_comes_from_here_so_that_what_it_names_keeps_the_token(api: Client) -> None:
    answer = ask(api, f"/media/public/{PLAYLIST}")
    assert (answer.status_code, answer.content) == (200, b"#EXTM3U\n")


def test_cues_of_a_storyboard_do_too_and_any_page_may_read_a_public_one(api: Client) -> None:
    api.services.storage.write(f"{PICTURES}/storyboard.vtt", [b"WEBVTT\n"])
    elsewhere = {"Origin": "https://site.example"}
    answer = ask(api, f"/media/public/{PICTURES}/storyboard.vtt", headers=elsewhere)
    assert (answer.status_code, answer.content) == (200, b"WEBVTT\n")
    assert answer.headers["Content-Type"] == "text/vtt"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("playback", ["public", "signed"])
def test_a_stable_address_of_a_file_leads_to_the_bucket_at_once_and_of_a_playlist_here(
    api: Client, world: World, playback: str
) -> None:
    asset = publish(api, world, playback=playback)
    for name in ("fallback_url", "poster_url"):
        answer = requests.get(asset[name], timeout=60)
        assert (answer.status_code, [hop.status_code for hop in answer.history]) == (200, [302])
        assert urlsplit(answer.url).netloc != urlsplit(api.url).netloc
        assert requests.head(asset[name], timeout=60, allow_redirects=True).status_code == 200
    for name in ("manifest_url", "storyboard_url"):
        answer = requests.get(asset[name], timeout=60)
        assert urlsplit(answer.url).netloc == urlsplit(api.url).netloc


def test_a_head_is_answered_from_here(api: Client) -> None:
    answer = api.call("HEAD", f"/media/public/{SEGMENT}", as_=None, allow_redirects=False)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(CONTENT)))


def test_the_gate_reaches_the_bucket_by_our_address(api: Client) -> None:
    url = f"{api.url}{signed(PROTECTED)}"
    with GuardedFetcher(own_policy(api.url, api.services.storage, timeout_sec=10)) as fetcher:
        remote = fetcher.size_of(url)
        assert (remote.size_bytes, remote.accepts_ranges) == (len(CONTENT), True)
        assert fetcher.read(url, 5, 5, Version(remote.size_bytes, remote.etag)) == CONTENT[5:10]
    # The worker measures the object in the bucket, and the transcoder fetches it by our address.
    stored = api.services.storage.stat(PROTECTED)
    assert (stored.size_bytes, stored.etag) == (remote.size_bytes, remote.etag)


def test_nobody_is_sent_to_the_bucket_without_a_right(api: Client) -> None:
    for path, status in (
        (f"/media/public/{PROTECTED}", 404),
        ("/media/public/original/ana/p/u/source.mp4", 404),
        (signed(PROTECTED, lasts=timedelta(seconds=-1)), 403),
        (signed(PROTECTED).replace("protected/", "", 1), 403),
    ):
        assert ask(api, path).status_code == status, path
