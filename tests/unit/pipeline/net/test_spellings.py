# ruff: noqa: RUF001 - that characters look alike is the point
"""Every way of asking for what is inside, really attempted, with somebody listening inside.

The listeners are on every interface of this machine, IPv4 and IPv6. What they must see is nothing.
Names are answered where the operating system would be asked for them, and nowhere else is anything
replaced; spellings of numbers are left to the real resolver.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from pipeline.net.fetch import FetchPolicy, FetchRefused, GuardedFetcher
from tests.public_addresses import treat_as_public
from tests.unit.pipeline.net.conftest import Site, serving
from tests.unit.pipeline.net.responses import plain, redirect

FRONT = "127.0.0.9"
"""Stands for the public internet: the one address of this machine that counts as public."""
LOOSE = FetchPolicy(https_only=False, read_timeout_sec=0.5, connect_timeout_sec=0.5)
"""Any port and plain http: only what is said of addresses holds anybody back."""

NAMES = {
    "localtest.example": ["127.0.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "7f000001.nip.example": ["127.0.0.1"],
    "six.nip.example": ["::1"],
    "mapped.nip.example": ["::ffff:127.0.0.1"],
    "metadata.example": ["169.254.169.254"],
    "metadata6.example": ["fd00:ec2::254"],
    "docker.example": ["172.17.0.1"],
    "zero.example": ["0.0.0.0"],
    "one-inside.example": ["93.184.216.34", "127.0.0.1"],
    "one-inside-first.example": ["127.0.0.1", "93.184.216.34"],
    "one-inside-of-six.example": ["2606:4700::1111", "::1"],
    "link-local.example": ["fe80::1%1"],
    "front.example": [FRONT],
    "localhost.": ["127.0.0.1"],
    "127.0.0.1.": ["127.0.0.1"],
}
NUMERIC = re.compile(r"[0-9a-fx.:]+|localhost", re.IGNORECASE)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names resolve to: by ``NAMES``, or by turns as a test says."""
    turns: dict[str, list[list[str]]] = {}
    ask = socket.getaddrinfo

    def answer(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host in turns:
            found = turns[host].pop(0)
        elif host in NAMES:
            found = NAMES[host]
        elif NUMERIC.fullmatch(host):
            return ask(host, port, *args, **options)
        else:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        kinds = [socket.AF_INET6 if ":" in ip else socket.AF_INET for ip in found]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (ip, port))
            for kind, ip in zip(kinds, found, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return turns


@pytest.fixture
def public_front(monkeypatch: pytest.MonkeyPatch) -> None:
    treat_as_public(monkeypatch, FRONT)


@pytest.fixture(scope="module")
def front() -> Iterator[Site]:
    with serving(Site(FRONT)) as front:
        yield front


class Inside:
    """Listens on every interface on a port of its own, and beside the front on the front's."""

    def __init__(self, front: Site) -> None:
        self.everywhere = _everywhere()
        self.port: int = self.everywhere.getsockname()[1]
        self.beside = socket.create_server(("127.0.0.1", front.port))
        for listener in (self.everywhere, self.beside):
            listener.setblocking(False)

    def visitors(self) -> list[Any]:
        """Who has connected since the last look: the kernel has them in its queue already."""
        seen = []
        for listener in (self.everywhere, self.beside):
            with suppress(BlockingIOError):
                while True:
                    connection, peer = listener.accept()
                    connection.close()
                    seen.append(peer)
        return seen

    def close(self) -> None:
        self.everywhere.close()
        self.beside.close()


def _everywhere() -> socket.socket:
    if socket.has_dualstack_ipv6():
        with suppress(OSError):  # built with IPv6, on a machine without
            return socket.create_server(
                ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64
            )
    return socket.create_server(("0.0.0.0", 0), backlog=64)


@pytest.fixture(scope="module")
def inside(front: Site) -> Iterator[Inside]:
    inside = Inside(front)
    yield inside
    inside.close()


@pytest.fixture(autouse=True)
def nobody_comes_inside(inside: Inside) -> Iterator[None]:
    inside.visitors()
    yield
    assert inside.visitors() == []


def refusal_of(url: str, policy: FetchPolicy = LOOSE) -> FetchRefused:
    with GuardedFetcher(policy) as fetcher, pytest.raises(FetchRefused) as refusal:
        fetcher.get(url, max_bytes=1000)
    return refusal.value


HOSTS = [
    # IPv4, as inet_aton reads it
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "017700000001"),
    *("0177.0.0.1", "0x7f.0.0.1", "0x7F.1", "127.0.0.0x1", "127.000.000.001", "00000177.1"),
    *("127.255.255.254", "0", "0.0.0.0", "0x0", "00", "4294967295"),
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.18.0.1", "192.0.0.192"),
    *("169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518"),
    *("100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "240.0.0.1"),
    # IPv6
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[::ffff:127.0.0.1]"),
    *("[::ffff:7f00:1]", "[::FFFF:7F00:0001]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    *("[::ffff:169.254.169.254]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::1]"),
    *("[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]"),
    *("[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25lo]", "[::1%251]", "[fec0::1]", "[ff02::1]"),
    *("[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]"),
    # Names
    *("localhost", "LOCALHOST", "LocalHost.", *(name for name in NAMES if name != "front.example")),
    "LOCALTEST.example",
]


@pytest.mark.parametrize("host", HOSTS)
def test_no_spelling_of_an_address_inside_reaches_it(host: str, inside: Inside) -> None:
    refusal = refusal_of(f"http://{host}:{inside.port}/")

    assert (refusal.code, refusal.transient) == ("url_refused", False)


def test_spellings_of_numbers_would_reach_the_listener_but_for_the_guard(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    treat_as_public(monkeypatch, "127.0.0.1")
    everybody = FetchPolicy(https_only=False, read_timeout_sec=0.1)
    for host in ("127.1", "2130706433", "0x7f.1", "0177.0.0.1"):
        refusal_of(f"http://{host}:{inside.port}/", everybody)
        assert len(inside.visitors()) == 1


CONFUSING = [
    # Digits, letters and dots that only look like it, or that somebody normalises
    *("http://１２７.0.0.1:{port}/", "http://①②⑦.⓪.⓪.①:{port}/", "http://127。0。0。1:{port}/"),
    *(
        "http://127．0．0．1:{port}/",
        "http://127｡0｡0｡1:{port}/",
        "http://ｌｏｃａｌｈｏｓｔ:{port}/",
    ),
    *(
        "http://ⓛocalhost:{port}/",
        "http://local\u00adhost:{port}/",
        "http://loc\u0430lhost:{port}/",
    ),
    *("http://127.0.0.1\u3002:{port}/", "http://127.0.0.1：{port}/", "http：//127.0.0.1:{port}/"),
    # Two readers, two hosts
    *("http://user@127.0.0.1:{port}/", "http://user:password@127.0.0.1:{port}/"),
    *("http://front.example@127.0.0.1:{port}/", "http://127.0.0.1:{port}#@front.example/"),
    *("http://front.example:80@127.0.0.1:{port}/", "http://127.0.0.1:{port}?@front.example/"),
    *("http://front.example#@127.0.0.1:{port}@/", "http://@127.0.0.1:{port}/"),
    *("http://front.example\\@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@front.example/"),
    *("http://1.1.1.1 &@127.0.0.1:{port}# @3.3.3.3/", "http://127.0.0.1:{port}:80/"),
    *("http://127.0.0.1;front.example:{port}/", "http://127.0.0.1,front.example:{port}/"),
    *("http://front.example%2f@127.0.0.1:{port}/", "http://127.0.0.1%23.front.example:{port}/"),
    *("http://127.0.0.1%00.front.example:{port}/", "http://127.0.0.1%2f.front.example:{port}/"),
    *(
        "http://[127.0.0.1]:{port}/",
        "http://[::1:{port}/",
        "http://::1:{port}/",
        "http://[]:{port}/",
    ),
    *("http://[::1].front.example:{port}/", "http://[v1.127.0.0.1]:{port}/"),
    *("http://{{127.0.0.1}}:{port}/", "http://*.0.0.1:{port}/", "http://$host:{port}/"),
    # Percent-encoded
    *("http://%31%32%37.0.0.1:{port}/", "http://127%2e0%2e0%2e1:{port}/"),
    *("http://%6c%6f%63%61%6c%68%6f%73%74:{port}/", "http://%5b::1%5d:{port}/"),
    *("http%3a//127.0.0.1:{port}/", "http://127.0.0.1%3a{port}/"),
    # White space and control characters that parsers drop
    *(" http://127.0.0.1:{port}/", "\thttp://127.0.0.1:{port}/", "http://127.0.0.1:{port}/ "),
    *("ht\ntp://127.0.0.1:{port}/", "http:/\t/127.0.0.1:{port}/", "http://127.0.\n0.1:{port}/"),
    *("http://127.0.0.1\r\nHost: front.example:{port}/", "http://127.0.0.1\0:{port}/"),
    *("\x01http://127.0.0.1:{port}/", "http://\x7f127.0.0.1:{port}/"),
    *("http://127.0.0.1:{port}/\r\nX-Header: x", "http://127.0.0.1:{port}/a b"),
    # Slashes
    *("http:127.0.0.1:{port}/", "http:/127.0.0.1:{port}/", "http:///127.0.0.1:{port}/"),
    *("http:\\\\127.0.0.1:{port}\\", "//127.0.0.1:{port}/", "127.0.0.1:{port}/", "/"),
    # Schemes
    *("file:///etc/passwd", "FILE:///etc/passwd", "file://127.0.0.1/etc/passwd"),
    *("gopher://127.0.0.1:{port}/_x", "dict://127.0.0.1:{port}/", "ftp://127.0.0.1:{port}/"),
    *("ldap://127.0.0.1:{port}/", "jar:http://127.0.0.1:{port}/!/", "data:text/plain,x"),
    *("unix:///var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/", "javascript:x"),
    *("netdoc:///etc/passwd", "url:http://127.0.0.1:{port}/", "storage:original/x", "about:blank"),
    # Case
    *("HTTP://127.0.0.1:{port}/", "hTtPs://127.0.0.1:{port}/", "HTTPS://[::1]:{port}/"),
    # Ports
    *("http://127.0.0.1:+{port}/", "http://127.0.0.1:0{port}/", "http://127.0.0.1:-1/"),
    *("http://127.0.0.1:65536/", "http://127.0.0.1:{port}.0/", "http://127.0.0.1:８０/"),
    *("http://127.0.0.1: {port}/", "http://127.0.0.1:/", "http://:{port}/", "http://"),
]


@pytest.mark.parametrize("url", CONFUSING, ids=ascii)
def test_no_url_that_readers_differ_on_reaches_anything(url: str, inside: Inside) -> None:
    refusal = refusal_of(url.format(port=inside.port))

    assert (refusal.code, refusal.transient) == ("url_refused", False)


@pytest.mark.usefixtures("public_front")
def test_no_more_than_this_is_needed_to_be_let_through(front: Site) -> None:
    front.answers["/"] = plain(b"x")
    for host in (FRONT, "front.example", "FRONT.example"):
        with GuardedFetcher(LOOSE) as fetcher:
            NAMES.setdefault(host, [FRONT])
            assert fetcher.get(f"http://{host}:{front.port}/", max_bytes=10).body == b"x"


TARGETS = {
    "inside": "http://127.0.0.1:{port}/",
    "inside, by IPv6": "http://[::1]:{port}/",
    "inside, without a scheme": "//127.0.0.1:{port}/",
    "inside, behind a control character": "\x01//127.0.0.1:{port}/",
    "inside, behind a space": " //127.0.0.1:{port}/",
    "inside, with backslashes": "\\\\127.0.0.1:{port}/",
    "inside, by a name": "http://localtest.example:{port}/",
    "inside, by a number": "http://2130706433:{port}/",
    "inside, with a user": "http://front.example@127.0.0.1:{port}/",
    "beside, on the same port": "http://127.0.0.1:{front}/",
    "the metadata service": "http://169.254.169.254/latest/meta-data/",
    "the metadata service, mapped": "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "a file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1:{port}/_x",
    "our storage": "storage:original/x",
    "two steps": "/step",
}


@pytest.mark.usefixtures("public_front")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_no_redirect_leads_inside(front: Site, inside: Inside, status: int, target: str) -> None:
    where = target.format(port=inside.port, front=front.port)
    front.answers["/"] = redirect(where, status)
    front.answers["/step"] = redirect(f"http://127.0.0.1:{inside.port}/", status)
    front.answers["/%5C%5C127.0.0.1"] = plain(b"")

    refusal = refusal_of(front.url("/", FRONT), LOOSE)

    assert (refusal.code, refusal.transient) == ("url_refused", False)


@pytest.mark.usefixtures("public_front")
def test_a_redirect_to_another_port_or_host_than_the_policys_is_refused(front: Site) -> None:
    only = FetchPolicy(
        https_only=False,
        ports=frozenset({front.port}),
        hosts=frozenset({FRONT}),
    )
    front.answers["/"] = redirect(f"http://{FRONT}:{front.port + 1}/")
    assert refusal_of(front.url("/", FRONT), only).code == "url_refused"
    front.answers["/"] = redirect(f"http://front.example:{front.port}/")
    assert refusal_of(front.url("/", FRONT), only).code == "url_refused"


@pytest.mark.usefixtures("public_front")
def test_a_name_that_moves_inside_between_check_and_connect_is_asked_once(
    front: Site, names: dict[str, list[list[str]]]
) -> None:
    names["rebinding.example"] = [[FRONT], ["127.0.0.1"]]
    front.answers["/"] = plain(b"x")

    with GuardedFetcher(LOOSE) as fetcher:
        assert fetcher.get(front.url("/", "rebinding.example"), max_bytes=10).body == b"x"

    assert names["rebinding.example"] == [["127.0.0.1"]]


@pytest.mark.usefixtures("public_front")
def test_a_name_that_moves_inside_between_two_redirects_is_refused(
    front: Site, names: dict[str, list[list[str]]]
) -> None:
    names["rebinding.example"] = [[FRONT], ["127.0.0.1"]]
    front.answers["/"] = redirect("/again")
    front.answers["/again"] = plain(b"x")

    assert refusal_of(front.url("/", "rebinding.example"), LOOSE).code == "url_refused"


STRICT = FetchPolicy(ports=frozenset({443}))


@pytest.mark.parametrize(
    "url",
    [
        *(f"https://front.example:{port}/" for port in (1, 22, 25, 80, 444, 3306, 5432, 6379)),
        *("http://front.example/", "http://front.example:443/", "https://front.example:8443/"),
    ],
)
def test_only_https_on_its_own_port_is_fetched_unless_settings_say_more(url: str) -> None:
    assert refusal_of(url, STRICT).code == "url_refused"
