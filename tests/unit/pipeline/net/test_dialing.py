import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from urllib3.connection import HTTPConnection

from pipeline.net.dialing import Dialer
from pipeline.net.fetch import FetchPolicy, FetchRefused, GuardedFetcher
from tests.public_addresses import treat_as_public
from tests.unit.pipeline.net.conftest import Answer, Site
from tests.unit.pipeline.net.responses import (
    plain,
    redirect,
    trickle_of_body,
    trickle_of_headers,
    trickle_of_promised_body,
)

LOOPBACK = FetchPolicy(https_only=False)
"""Of this machine, 127.0.0.1 counts as public here."""
# Self-signed and thrown away, for video.example, until 2126 (`openssl req -x509 -newkey ec`).
CERTIFICATE = Path(__file__).parent / "video.example.pem"


@pytest.fixture(autouse=True)
def _loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    treat_as_public(monkeypatch, "127.0.0.1")


class Names:
    """A name server that gives the addresses it is told and counts the questions."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(host)
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answer]


def refusal_of(url: str, policy: FetchPolicy = LOOPBACK) -> FetchRefused:
    with GuardedFetcher(policy) as fetcher, pytest.raises(FetchRefused) as refusal:
        fetcher.get(url, max_bytes=1000)
    return refusal.value


@pytest.mark.parametrize("inside", ["10.0.0.1", "127.0.0.2", "169.254.169.254"])
def test_one_refused_address_among_good_ones_refuses_the_host(
    inside: str,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site.answers["/"] = plain(b"x")
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1", inside]))

    assert refusal_of(site.url("/", "video.example")).code == "url_refused"
    assert site.requests == []


def test_the_address_that_was_checked_is_the_one_connected_to(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    site.answers["/"] = plain(b"x")

    with GuardedFetcher(LOOPBACK) as fetcher:
        fetched = fetcher.get(site.url("/", "video.example"), max_bytes=10)

    assert fetched.body == b"x"
    assert names.asked == ["video.example"]
    assert site.requests[0][1]["Host"] == f"video.example:{site.port}"


def test_a_name_that_moves_inside_between_two_connections_is_refused(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1"], ["10.0.0.1"]))
    site.answers["/"] = redirect(site.url("/b", "other.example"))

    assert refusal_of(site.url("/", "video.example")).code == "url_refused"


def test_the_next_address_is_tried_when_one_does_not_answer(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    treat_as_public(monkeypatch, "127.0.0.9")
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.9", "127.0.0.1"]))
    site.answers["/"] = plain(b"x")

    with GuardedFetcher(LOOPBACK) as fetcher:
        assert fetcher.get(site.url("/", "video.example"), max_bytes=10).body == b"x"


def test_the_port_is_checked_once_more_as_it_is_dialled() -> None:
    """Should urllib3 ever read another port out of a URL than we do."""
    dialer = Dialer(FetchPolicy(ports=frozenset({443})))

    with pytest.raises(FetchRefused, match="22"):
        dialer.dial(HTTPConnection("127.0.0.1", 22))


@pytest.mark.parametrize(
    ("errno", "transient"),
    [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True), (socket.EAI_FAIL, True)],
)
def test_an_unknown_name_is_final_and_a_silent_name_server_is_not(
    errno: int,
    transient: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(socket.gaierror(errno, "no")))

    refusal = refusal_of("http://video.example/")

    assert (refusal.code, refusal.transient) == ("source_unreachable", transient)


def test_a_refused_connection_is_worth_another_try() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        refusal = refusal_of(f"http://127.0.0.1:{taken.getsockname()[1]}/")

    assert (refusal.code, refusal.transient) == ("source_unreachable", True)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b"])
def test_a_name_that_cannot_be_is_final(host: str) -> None:
    assert not refusal_of(f"http://{host}/").transient


def silence(request: BaseHTTPRequestHandler) -> None:
    """Waits for the client to hang up."""
    request.rfile.read(1)


def test_a_server_that_says_nothing_times_out(site: Site) -> None:
    site.answers["/"] = silence

    refusal = refusal_of(site.url("/"), FetchPolicy(https_only=False, read_timeout_sec=0.2))

    assert (refusal.code, refusal.transient) == ("source_timeout", True)


@pytest.mark.parametrize("answer", [trickle_of_headers, trickle_of_body, trickle_of_promised_body])
def test_a_server_that_trickles_is_cut_off_at_the_total_time(answer: Answer, site: Site) -> None:
    site.answers["/"] = answer

    refusal = refusal_of(site.url("/"), FetchPolicy(https_only=False, total_timeout_sec=0.5))

    assert (refusal.code, refusal.transient) == ("source_timeout", True)


def test_an_answer_that_does_not_begin_is_not_waited_for(site: Site) -> None:
    site.answers["/"] = redirect("/b")
    site.answers["/b"] = trickle_of_headers

    refusal = refusal_of(site.url("/"), FetchPolicy(https_only=False, answer_timeout_sec=0.5))

    assert (refusal.code, refusal.transient) == ("source_timeout", True)


@pytest.mark.parametrize("answer", [trickle_of_body, trickle_of_promised_body])
def test_a_server_that_sends_too_slowly_is_given_up(answer: Answer, site: Site) -> None:
    site.answers["/"] = answer

    refusal = refusal_of(
        site.url("/"),
        FetchPolicy(https_only=False, min_bps=1_000_000, grace_sec=0.2),
    )

    assert (refusal.code, refusal.transient) == ("source_timeout", True)
    assert "slowly" in refusal.detail


@pytest.mark.parametrize(("min_bps", "grace_sec"), [(1, 0), (10**12, 60)])
def test_a_server_that_is_fast_enough_or_has_only_begun_is_not_given_up(
    min_bps: int, grace_sec: float, site: Site
) -> None:
    site.answers["/"] = plain(b"x" * 1000)
    policy = FetchPolicy(https_only=False, min_bps=min_bps, grace_sec=grace_sec)

    with GuardedFetcher(policy) as fetcher:
        assert len(fetcher.get(site.url("/"), max_bytes=1000).body) == 1000


def test_a_fetcher_that_was_cut_off_once_can_be_used_again(site: Site) -> None:
    site.answers["/slow"] = trickle_of_body
    site.answers["/"] = plain(b"x")
    policy = FetchPolicy(https_only=False, total_timeout_sec=0.5)

    with GuardedFetcher(policy) as fetcher:
        with pytest.raises(FetchRefused):
            fetcher.get(site.url("/slow"), max_bytes=10**6)

        assert fetcher.get(site.url("/"), max_bytes=10).body == b"x"


@pytest.mark.parametrize("answer", [trickle_of_headers, trickle_of_body])
def test_a_connection_that_came_about_after_the_total_time_is_cut_too(
    answer: Answer,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = socket.socket.connect

    def late(sock: socket.socket, where: Any) -> None:
        time.sleep(0.3)
        connect(sock, where)

    monkeypatch.setattr(socket.socket, "connect", late)
    site.answers["/"] = answer
    policy = FetchPolicy(https_only=False, total_timeout_sec=0.1)

    with GuardedFetcher(policy) as fetcher, pytest.raises(FetchRefused) as refusal:
        fetcher.get(site.url("/"), max_bytes=20)

    assert (refusal.value.code, refusal.value.transient) == ("source_timeout", True)


def test_what_had_arrived_by_the_total_time_is_not_read_on(site: Site, tmp_path: Path) -> None:
    body = bytes(2**18 + 10)
    site.answers["/"] = plain(body)
    policy = FetchPolicy(https_only=False, total_timeout_sec=0.1)
    told: list[int] = []

    def slowly(written: int) -> None:
        told.append(written)
        time.sleep(0.3)

    with GuardedFetcher(policy) as fetcher, pytest.raises(FetchRefused) as refusal:
        fetcher.download(site.url("/"), tmp_path / "a", max_bytes=len(body), on_bytes=slowly)

    assert (refusal.value.code, refusal.value.transient) == ("source_timeout", True)
    assert len(told) <= 1


def test_the_body_of_a_redirect_is_not_read(site: Site) -> None:
    def endless_redirect(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
        try:
            while True:
                request.wfile.write(b"x" * 65536)
        except OSError:
            request.close_connection = True

    site.answers["/"] = endless_redirect
    site.answers["/b"] = plain(b"x")

    with GuardedFetcher(LOOPBACK) as fetcher:
        assert fetcher.get(site.url("/"), max_bytes=10).body == b"x"


@contextmanager
def tls_server(asked_for: list[str | None]) -> Iterator[int]:
    """Shakes hands over TLS, one client at a time, and notes the name each asks for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.sni_callback = lambda _sock, name, _context: asked_for.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(client, server_side=True).close()
            except OSError:
                client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def test_tls_asks_for_the_name_and_a_bad_certificate_is_final(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1"]))
    asked_for: list[str | None] = []

    with tls_server(asked_for) as port:
        refusal = refusal_of(f"https://video.example:{port}/", FetchPolicy())

    assert asked_for == ["video.example"]
    assert (refusal.code, refusal.transient) == ("source_unreachable", False)
    assert "certificate" in refusal.detail


def test_no_setting_of_the_environment_makes_a_certificate_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.1"]))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setitem(os.environ, name, str(CERTIFICATE))

    with tls_server([]) as port:
        refusal = refusal_of(f"https://video.example:{port}/", FetchPolicy())

    assert "certificate" in refusal.detail
