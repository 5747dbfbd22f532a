import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pipeline.net.fetch import FetchPolicy, FetchRefused, GuardedFetcher, Remote, Version
from pipeline.net.origins import WebOrigin, read_allowed_origin
from tests.public_addresses import treat_as_public
from tests.unit.pipeline.net.conftest import Site, serving
from tests.unit.pipeline.net.responses import (
    cut_short,
    in_parts,
    plain,
    redirect,
    trickle_of_promised_body,
    without_length,
)

BODY = bytes(range(256)) * 4000
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
LOOPBACK = FetchPolicy(allow=(read_allowed_origin("http://127.0.0.1:*"),))


@pytest.fixture
def fetcher() -> Iterator[GuardedFetcher]:
    with GuardedFetcher(LOOPBACK) as fetcher:
        yield fetcher


def test_a_file_is_described_by_its_first_byte(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = in_parts(BODY)

    assert fetcher.size_of(site.url("/a")) == Remote(
        size_bytes=len(BODY),
        etag='"v1"',
        content_type=None,
        accepts_ranges=True,
        final_url=site.url("/a"),
    )


def test_a_server_without_ranges_still_tells_the_size(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = plain(BODY, Content_Type="video/mp4")

    remote = fetcher.size_of(site.url("/a"))

    assert (remote.size_bytes, remote.accepts_ranges) == (len(BODY), False)
    assert remote.content_type == "video/mp4"


def test_a_server_that_tells_no_size_is_believed(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = without_length(BODY)

    assert fetcher.size_of(site.url("/a")).size_bytes is None


def test_an_empty_file_has_a_size_of_zero(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = in_parts(b"")

    assert fetcher.size_of(site.url("/a")).size_bytes == 0


@pytest.mark.parametrize("etag", [None, '"v1"', 'W/"v1"'])
def test_a_part_is_read(etag: str | None, site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = in_parts(BODY, etag)

    assert fetcher.read(site.url("/a"), 1000, 500, Version(len(BODY), etag)) == BODY[1000:1500]
    assert fetcher.read(site.url("/a"), len(BODY) - 3, 500, Version(len(BODY), etag)) == BODY[-3:]


@pytest.mark.parametrize("etag", ['"v1"', 'W/"v1"'])
def test_a_file_that_changed_since_is_not_read(
    etag: str,
    site: Site,
    fetcher: GuardedFetcher,
) -> None:
    site.answers["/a"] = in_parts(BODY, '"v2"')

    with pytest.raises(FetchRefused) as refusal:
        fetcher.read(site.url("/a"), 0, 10, Version(None, etag))

    assert (refusal.value.code, refusal.value.transient) == ("source_changed", False)


@pytest.mark.parametrize(("etag", "sent"), [('"v1"', '"v1"'), ('W/"v1"', None)])
def test_a_changed_file_is_not_even_sent_where_the_etag_is_strong(
    etag: str,
    sent: str | None,
    site: Site,
    fetcher: GuardedFetcher,
) -> None:
    site.answers["/a"] = in_parts(BODY, etag)

    fetcher.read(site.url("/a"), 0, 10, Version(None, etag))

    assert site.requests[0][1].get("If-Range") == sent


def test_a_file_that_became_shorter_has_changed(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = in_parts(BODY)

    with pytest.raises(FetchRefused) as refusal:
        fetcher.read(site.url("/a"), len(BODY), 10)

    assert refusal.value.code == "source_changed"


def test_a_whole_file_is_not_taken_for_a_part(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = plain(BODY)

    with pytest.raises(FetchRefused, match="ranges"):
        fetcher.read(site.url("/a"), 0, 10)


def test_another_part_is_not_taken_for_the_one_asked_for(
    site: Site,
    fetcher: GuardedFetcher,
) -> None:
    site.answers["/a"] = plain(b"0123456789", 206, Content_Range="bytes 10-19/100")

    with pytest.raises(FetchRefused, match="another range"):
        fetcher.read(site.url("/a"), 0, 10)


def test_a_file_is_downloaded_whole(site: Site, fetcher: GuardedFetcher, tmp_path: Path) -> None:
    site.answers["/a"] = in_parts(BODY)
    told: list[int] = []

    remote = fetcher.download(
        site.url("/a"), tmp_path / "a", max_bytes=len(BODY), on_bytes=told.append
    )

    assert hashlib.sha256((tmp_path / "a").read_bytes()).digest() == hashlib.sha256(BODY).digest()
    assert (remote.size_bytes, remote.etag) == (len(BODY), '"v1"')
    assert told == sorted(told)
    assert told[-1] == len(BODY)


@pytest.mark.parametrize(
    "head", ["Content-Length: 6\r\n\r\n", CHUNKED + "6\r\n"], ids=["told", "chunk"]
)
def test_bytes_are_told_as_they_arrive(
    head: str,
    site: Site,
    fetcher: GuardedFetcher,
    tmp_path: Path,
) -> None:
    heard = threading.Event()

    def in_two_halves(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(f"HTTP/1.1 200 OK\r\n{head}abc".encode())
        if heard.wait(60):
            request.wfile.write(b"def\r\n0\r\n\r\n" if head.startswith(CHUNKED) else b"def")
        request.close_connection = True

    site.answers["/a"] = in_two_halves

    fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=6, on_bytes=lambda _: heard.set())

    assert (tmp_path / "a").read_bytes() == b"abcdef"


def test_what_is_told_of_the_bytes_can_end_the_download(
    site: Site, fetcher: GuardedFetcher, tmp_path: Path
) -> None:
    site.answers["/a"] = trickle_of_promised_body

    def stop(_: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=900, on_bytes=stop)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", [plain(BODY), without_length(BODY)], ids=["told", "untold"])
def test_a_file_over_the_limit_leaves_nothing(
    answer: object,
    site: Site,
    fetcher: GuardedFetcher,
    tmp_path: Path,
) -> None:
    site.answers["/a"] = answer  # type: ignore[assignment]  # parametrize loses the type

    with pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=len(BODY) - 1)

    assert refusal.value.code == "source_too_large"
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_breaks_off_is_no_file(
    site: Site,
    fetcher: GuardedFetcher,
    tmp_path: Path,
) -> None:
    site.answers["/a"] = cut_short(BODY, promised=len(BODY) + 1)

    with pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=10**9)

    assert (refusal.value.code, refusal.value.transient) == ("source_unreachable", True)
    assert list(tmp_path.iterdir()) == []


def test_trouble_with_the_local_disk_is_not_blamed_on_the_server(
    site: Site,
    fetcher: GuardedFetcher,
    tmp_path: Path,
) -> None:
    site.answers["/a"] = plain(BODY)

    with pytest.raises(FileNotFoundError):
        fetcher.download(site.url("/a"), tmp_path / "nowhere" / "a", max_bytes=10**9)


def test_a_small_file_is_read_whole(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = plain(b"#EXTM3U", Content_Type="application/vnd.apple.mpegurl")

    fetched = fetcher.get(site.url("/a"), max_bytes=7)

    assert (fetched.status, fetched.body) == (200, b"#EXTM3U")
    assert fetched.headers["content-type"] == "application/vnd.apple.mpegurl"


def test_a_compressed_answer_is_refused(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = plain(b"not really", Content_Encoding="gzip")

    with pytest.raises(FetchRefused, match="compressed"):
        fetcher.get(site.url("/a"), max_bytes=100)


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (410, False),
        (408, True),
        (429, True),
        (500, True),
        (503, True),
        (204, False),
    ],
)
def test_a_refusal_of_the_server_is_worth_another_try_or_not(
    status: int,
    transient: bool,
    site: Site,
    fetcher: GuardedFetcher,
) -> None:
    site.answers["/a"] = plain(b"", status)

    with pytest.raises(FetchRefused) as refusal:
        fetcher.get(site.url("/a"), max_bytes=100)

    assert refusal.value.code == "source_unreachable"
    assert (refusal.value.status, refusal.value.transient) == (status, transient)


def test_calls_share_a_connection(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = in_parts(BODY)

    for offset in range(5):
        fetcher.read(site.url("/a"), offset, 10)

    assert len(site.connections) == 1


def test_nothing_of_the_environment_or_of_earlier_answers_is_sent(
    site: Site,
    fetcher: GuardedFetcher,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    site.answers["/a"] = plain(b"x", Set_Cookie="session=1")

    for _ in range(2):
        fetcher.get(site.url("/a"), max_bytes=10)

    for _, headers in site.requests:
        assert set(headers) <= {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
        assert headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(status: int, site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = redirect("b", status)
    site.answers["/b"] = in_parts(BODY)

    assert fetcher.size_of(site.url("/a")).final_url == site.url("/b")
    assert fetcher.read(site.url("/a"), 5, 5) == BODY[5:10]


def test_redirects_are_bounded(site: Site, fetcher: GuardedFetcher) -> None:
    site.answers["/a"] = redirect("/a")

    with pytest.raises(FetchRefused) as refusal:
        fetcher.get(site.url("/a"), max_bytes=10)

    assert (refusal.value.code, refusal.value.transient) == ("source_unreachable", False)
    assert len(site.requests) == LOOPBACK.max_redirects + 1


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "//user@127.0.0.1/",
        "http://[",
    ],
)
def test_a_redirect_is_held_to_the_same_rules(
    location: str,
    site: Site,
    fetcher: GuardedFetcher,
) -> None:
    site.answers["/a"] = redirect(location)

    with pytest.raises(FetchRefused) as refusal:
        fetcher.get(site.url("/a"), max_bytes=10)

    assert refusal.value.code == "url_refused"


OTHER = [Version(len(BODY) + 1, None), Version(len(BODY) - 1, None), Version(None, '"v0"')]


@pytest.mark.parametrize("version", OTHER, ids=str)
def test_a_part_of_another_version_is_not_read(
    version: Version, site: Site, fetcher: GuardedFetcher
) -> None:
    site.answers["/a"] = in_parts(BODY)

    with pytest.raises(FetchRefused) as refusal:
        fetcher.read(site.url("/a"), 0, 10, version)

    assert (refusal.value.code, refusal.value.transient) == ("source_changed", False)


@pytest.mark.parametrize("version", OTHER, ids=str)
def test_another_version_is_not_downloaded(
    version: Version, site: Site, fetcher: GuardedFetcher, tmp_path: Path
) -> None:
    site.answers["/a"] = in_parts(BODY)

    with pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=len(BODY), version=version)

    assert (refusal.value.code, refusal.value.transient) == ("source_changed", False)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("measured", "refused"),
    [
        (len(BODY) - 1, ("source_changed", False)),
        # A connection that broke looks the same: the next measurement tells which it was.
        (len(BODY) + 1, ("source_unreachable", True)),
    ],
    ids=["longer", "shorter"],
)
def test_a_body_without_a_length_is_compared_with_the_measured_one(
    measured: int,
    refused: tuple[str, bool],
    site: Site,
    fetcher: GuardedFetcher,
    tmp_path: Path,
) -> None:
    site.answers["/a"] = without_length(BODY)
    version = Version(measured, None)

    with pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/a"), tmp_path / "a", max_bytes=2 * len(BODY), version=version)

    assert (refusal.value.code, refusal.value.transient) == refused
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_the_measured_version_is_downloaded(
    etag: str | None, site: Site, fetcher: GuardedFetcher, tmp_path: Path
) -> None:
    site.answers["/a"] = in_parts(BODY, etag)

    fetcher.download(
        site.url("/a"), tmp_path / "a", max_bytes=len(BODY), version=Version(len(BODY), etag)
    )

    assert (tmp_path / "a").read_bytes() == BODY


@pytest.fixture
def inside() -> Iterator[Site]:
    """A service of ours, at an origin that is allowed."""
    with serving(Site("127.0.0.1")) as inside:
        inside.answers["/"] = plain(b"secret")
        yield inside


def test_a_server_elsewhere_does_not_lead_to_an_origin_of_ours(
    site: Site, inside: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat_as_public(monkeypatch, "127.0.0.9")
    ours = WebOrigin("http", "127.0.0.1", inside.port)
    for policy in (
        FetchPolicy(https_only=False, own=frozenset({ours})),
        FetchPolicy(https_only=False, allow=(read_allowed_origin(inside.url("")),)),
        FetchPolicy(https_only=False, allow=(read_allowed_origin("http://127.0.0.1:*"),)),
    ):
        with serving(Site("127.0.0.9")) as elsewhere, GuardedFetcher(policy) as fetcher:
            elsewhere.answers["/"] = redirect(inside.url("/"))
            with pytest.raises(FetchRefused) as refusal:
                fetcher.get(elsewhere.url("/", "127.0.0.9"), max_bytes=10)
            assert fetcher.get(inside.url("/"), max_bytes=10).body == b"secret"
        assert refusal.value.code == "url_refused"
    assert len(inside.requests) == 3


def test_a_source_at_an_allowed_origin_does_not_lead_to_another_port(
    site: Site, inside: Site, fetcher: GuardedFetcher
) -> None:
    site.answers["/"] = redirect(inside.url("/"))

    with pytest.raises(FetchRefused) as refusal:
        fetcher.get(site.url("/"), max_bytes=10)

    assert refusal.value.code == "url_refused"
    assert inside.requests == []


def test_our_api_leads_to_our_storage(site: Site, inside: Site) -> None:
    both = frozenset(WebOrigin("http", "127.0.0.1", port) for port in (site.port, inside.port))
    site.answers["/"] = redirect(inside.url("/"))

    with GuardedFetcher(FetchPolicy(own=both)) as fetcher:
        assert fetcher.get(site.url("/"), max_bytes=10).body == b"secret"


def test_nothing_but_our_own_is_fetched_by_a_fetcher_for_our_own(site: Site, inside: Site) -> None:
    ours = frozenset({WebOrigin("http", "127.0.0.1", site.port)})
    with GuardedFetcher(FetchPolicy(own=ours, own_only=True)) as fetcher:
        for url in (inside.url("/"), "https://public.example/", site.url("/", "localhost")):
            with pytest.raises(FetchRefused, match="url_refused"):
                fetcher.get(url, max_bytes=10)
    assert inside.requests == site.requests == []
