"""Redirects as servers really send them."""

from collections.abc import Iterator

import pytest

from pipeline.net.fetch import FetchPolicy, FetchRefused, GuardedFetcher
from pipeline.net.origins import WebOrigin, read_allowed_origin
from pipeline.net.redirects import redirect_target
from tests.unit.pipeline.net.conftest import Site
from tests.unit.pipeline.net.responses import in_parts, plain, redirect

BODY = bytes(range(100))
URL = "https://a.example/x/y?z=1"


@pytest.fixture
def fetcher() -> Iterator[GuardedFetcher]:
    policy = FetchPolicy(allow=(read_allowed_origin("http://127.0.0.1:*"),))
    with GuardedFetcher(policy) as fetcher:
        yield fetcher


def sent(location: str, charset: str = "utf-8") -> str:
    """Return a header as `http.client` reads it."""
    return location.encode(charset).decode("latin-1")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b", "https://a.example/x/b"),
        ("/ვიდეო.mp4", "https://a.example/%E1%83%95%E1%83%98%E1%83%93%E1%83%94%E1%83%9D.mp4"),
        ("/my film.mp4?name=a b", "https://a.example/my%20film.mp4?name=a%20b"),
        ("/a%20b c", "https://a.example/a%20b%20c"),
        ("/100%", "https://a.example/100%"),
        (" /b ", "https://a.example/b"),
        ("/b#t=10", "https://a.example/b"),
        ("//b.example/c", "https://b.example/c"),
        ("https://Bücher.example:444/ü", "https://xn--bcher-kva.example:444/%C3%BC"),
        ("https://\uff25xample.example/", "https://example.example/"),
    ],
)
def test_an_address_is_read_as_browsers_read_it(location: str, target: str) -> None:
    assert redirect_target(URL, sent(location)) == target


def test_a_byte_that_is_no_utf_8_is_kept() -> None:
    assert redirect_target(URL, sent("/café", "latin-1")) == "https://a.example/caf%E9"


@pytest.mark.parametrize("location", ["https://[", "https://ü" + "x" * 70 + ".example/"])
def test_an_address_that_cannot_be_read_is_refused(location: str) -> None:
    with pytest.raises(FetchRefused) as refusal:
        redirect_target(URL, sent(location))
    assert refusal.value.code == "url_refused"


def test_other_digits_and_dots_do_not_hide_a_private_address(
    site: Site, fetcher: GuardedFetcher
) -> None:
    site.answers["/a"] = redirect(sent("http://\uff11\uff10\u30020\u30020\u30021/"))
    with pytest.raises(FetchRefused) as refusal:
        fetcher.get(site.url("/a"), max_bytes=10)
    assert refusal.value.code == "url_refused"


def test_a_path_with_letters_and_spaces_is_asked_for_encoded(
    site: Site, fetcher: GuardedFetcher
) -> None:
    site.answers["/a"] = redirect(sent("/ä b.mp4"))
    site.answers["/%C3%A4%20b.mp4"] = in_parts(BODY)
    assert fetcher.read(site.url("/a"), 5, 5) == BODY[5:10]


def test_a_long_way_is_followed(site: Site, fetcher: GuardedFetcher) -> None:
    for hop in range(10):
        site.answers[f"/{hop}"] = redirect(f"/{hop + 1}")
    site.answers["/10"] = in_parts(BODY)
    assert fetcher.size_of(site.url("/0")).final_url == site.url("/10")


def test_a_cookie_is_kept_on_the_way_and_forgotten_after_it(
    site: Site, fetcher: GuardedFetcher
) -> None:
    site.answers["/a"] = plain(b"", 302, Location="/b", Set_Cookie="pass=1; Path=/")
    site.answers["/b"] = in_parts(BODY)
    fetcher.read(site.url("/a"), 5, 5)
    fetcher.read(site.url("/b"), 5, 5)
    cookies = [headers.get("Cookie") for _, headers in site.requests]
    assert cookies == [None, "pass=1", None]


def test_a_cookie_goes_to_no_other_host(site: Site) -> None:
    hosts = ("127.0.0.1", "localhost")
    own = frozenset(WebOrigin("http", host, site.port) for host in hosts)
    site.answers["/a"] = plain(b"", 302, Location=site.url("/b", "localhost"), Set_Cookie="pass=1")
    site.answers["/b"] = in_parts(BODY)
    with GuardedFetcher(FetchPolicy(own=own)) as fetcher:
        fetcher.read(site.url("/a"), 5, 5)
    assert [headers.get("Cookie") for _, headers in site.requests] == [None, None]
