"""A download whose connection breaks goes on where it broke."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pipeline.net import fetch
from pipeline.net.fetch import FetchPolicy, FetchRefused, GuardedFetcher, Version
from pipeline.net.origins import read_allowed_origin
from tests.unit.pipeline.net.conftest import Answer, Site
from tests.unit.pipeline.net.responses import in_parts, plain

BODY = bytes(range(256)) * 4096
STEP = 300_000


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_RESUME_PAUSES_SEC", (0.01, 0.01))


@pytest.fixture
def fetcher() -> Iterator[GuardedFetcher]:
    policy = FetchPolicy(allow=(read_allowed_origin("http://127.0.0.1:*"),))
    with GuardedFetcher(policy) as fetcher:
        yield fetcher


def breaking(etag: Callable[[int], str | None], ranges: str = "bytes") -> Answer:
    """Send 300 kB of what was asked for, then break; the ETag may change with the offset."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        offset = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        tag = etag(offset)
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(BODY) - offset))
        request.send_header("Accept-Ranges", ranges)
        if asked:
            request.send_header("Content-Range", f"bytes {offset}-{len(BODY) - 1}/{len(BODY)}")
        if tag:
            request.send_header("ETag", tag)
        request.end_headers()
        request.wfile.write(BODY[offset : offset + STEP])
        request.close_connection = True

    return answer


def test_it_goes_on_where_it_broke(site: Site, fetcher: GuardedFetcher, tmp_path: Path) -> None:
    site.answers["/a"] = breaking(lambda _: '"v1"')
    told: list[int] = []
    remote = fetcher.download(
        site.url("/a"), tmp_path / "a", max_bytes=len(BODY), on_bytes=told.append
    )
    assert (tmp_path / "a").read_bytes() == BODY
    assert (remote.size_bytes, remote.etag) == (len(BODY), '"v1"')
    assert told == sorted(set(told))
    asked = [(headers.get("Range"), headers.get("If-Range")) for _, headers in site.requests]
    assert asked[0] == (None, None)
    assert asked[1] == (f"bytes={STEP}-", '"v1"')
    assert len(asked) == 4


def test_the_rest_of_another_file_is_not_added(
    site: Site, fetcher: GuardedFetcher, tmp_path: Path
) -> None:
    site.answers["/a"] = breaking(lambda offset: f'"v{offset}"')
    with pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=len(BODY))
    assert refusal.value.code == "source_changed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "answer",
    [breaking(lambda _: None), breaking(lambda _: 'W/"v1"'), breaking(lambda _: '"v1"', "none")],
    ids=["no tag", "weak tag", "no ranges"],
)
def test_without_proof_that_it_is_the_same_file_it_ends(
    answer: Answer, site: Site, fetcher: GuardedFetcher, tmp_path: Path
) -> None:
    site.answers["/a"] = answer
    with pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=len(BODY))
    assert (refusal.value.code, refusal.value.transient) == ("source_unreachable", True)
    assert len(site.requests) == 1


def test_a_server_that_sends_no_more_is_given_up(
    site: Site, fetcher: GuardedFetcher, tmp_path: Path
) -> None:
    first = breaking(lambda _: '"v1"')

    def answer(request: BaseHTTPRequestHandler) -> None:
        (plain(b"", 503) if request.headers.get("Range") else first)(request)

    site.answers["/a"] = answer
    with pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=len(BODY))
    assert (refusal.value.status, refusal.value.transient) == (503, True)
    assert len(site.requests) == 3


def test_a_size_over_the_bound_is_refused_at_once(
    site: Site, fetcher: GuardedFetcher, tmp_path: Path
) -> None:
    site.answers["/a"] = breaking(lambda _: '"v1"')
    with pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=STEP * 2)
    assert refusal.value.code == "source_too_large"


def test_what_arrives_can_be_read_in_part(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = in_parts(BODY)
    with fetcher.arriving(site.url("/a"), max_bytes=len(BODY)) as pieces:
        assert BODY.startswith(next(pieces))
    with (
        pytest.raises(FetchRefused) as refusal,
        fetcher.arriving(site.url("/a"), max_bytes=len(BODY), version=Version(None, '"v0"')),
    ):
        pass
    assert refusal.value.code == "source_changed"
