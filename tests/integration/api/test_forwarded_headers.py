"""Headers that only a proxy may write, sent by a client of gunicorn on this machine."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from tests.conditions import PATIENCE_SEC
from tests.integration.api.test_serving import gunicorn

CHANGED = (
    *({"SCRIPT_NAME": "/x"}, {"PATH_INFO": "/metrics"}, {"Script-Name": "/x"}),
    *({"X-Forwarded-Prefix": "/x"}, {"X-Script-Name": "/x"}, {"REMOTE_ADDR": "6.6.6.6"}),
    *({"X-Original-URL": "/metrics"}, {"X-Rewrite-URL": "/metrics"}),
    *({"X-Original-URI": "/metrics"}, {"X-Forwarded-Path": "/metrics"}, {"RAW_URI": "/metrics"}),
    *({"REQUEST_METHOD": "DELETE"}, {"X-HTTP-Method-Override": "DELETE"}),
    *({"X-HTTP-Method": "DELETE"}, {"X-Method-Override": "DELETE"}, {"wsgi.url_scheme": "https"}),
)
SECURE = (
    *({"X-Forwarded-Proto": "https"}, {"X-Forwarded-Protocol": "ssl"}, {"X-Forwarded-Ssl": "on"}),
    {"Forwarded": "proto=https;host=evil.example"},
    *({"Front-End-Https": "on"}, {"X-Url-Scheme": "https"}, {"X-Forwarded-Scheme": "https"}),
    *({"HTTPS": "on"}, {"X-Forwarded-Port": "443"}),
)
OTHER_HOST = (
    *({"X-Forwarded-Host": "evil.example"}, {"X-Host": "evil.example"}),
    *({"X-Forwarded-Server": "evil.example"}, {"X-HTTP-Host-Override": "evil.example"}),
    *({"Forwarded": "host=evil.example"}, {"X-Original-Host": "evil.example"}),
    *({"HTTP_HOST": "evil.example"}, {"SERVER_NAME": "evil.example"}),
)


@pytest.fixture
def served(environment: Mapping[str, str], tmp_path: Path) -> Iterator[str]:
    # gunicorn would read the second variable, if our configuration did not say it.
    variables = {**environment, "KHRONIKA_PROXIES": "0", "FORWARDED_ALLOW_IPS": "*"}
    with gunicorn(variables, tmp_path / "log") as url:
        yield url


@pytest.fixture
def behind_a_proxy(environment: Mapping[str, str], tmp_path: Path) -> Iterator[str]:
    with gunicorn({**environment, "KHRONIKA_PROXIES": "1"}, tmp_path / "log") as url:
        yield url


def get(url: str, headers: Mapping[str, str]) -> requests.Response:
    return requests.get(url, headers=headers, timeout=PATIENCE_SEC, allow_redirects=False)


def test_no_header_of_a_client_moves_a_request_to_another_path_or_scheme(served: str) -> None:
    for headers in CHANGED:
        assert get(f"{served}/x/metrics", headers).status_code == 404, headers
        assert get(f"{served}/healthz", headers).status_code == 200, headers
    for headers in SECURE:
        answer = get(f"{served}/ops/sign-in", headers)
        assert answer.status_code == 200, headers
        assert "Secure" not in answer.headers["Set-Cookie"], headers


def test_every_redirect_of_ours_names_a_path_alone(served: str) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    for path in ("/ops", "/ops/assets", "//ops", "/ops//failed", "/ops/", "/docs/"):
        answer = get(served + path, headers)
        location = answer.headers.get("Location", "/")
        assert location.startswith("/"), path
        assert not location.startswith("//"), path
        assert answer.status_code in {303, 404}, path


def test_no_header_names_another_host_not_even_behind_a_proxy(behind_a_proxy: str) -> None:
    """A proxy that passes a client's header on must not make it ours."""
    plain = get(f"{behind_a_proxy}/ops/sign-in", {})
    for headers in OTHER_HOST:
        answer = get(f"{behind_a_proxy}/ops/sign-in", headers)
        policy = "Content-Security-Policy"
        assert (answer.status_code, answer.headers[policy]) == (200, plain.headers[policy]), headers
        assert get(f"{behind_a_proxy}/healthz", headers).status_code == 200


class Answer(NamedTuple):
    """The answer to bytes that no client library would send."""

    status: int
    text: str


def send(url: str, *lines: str) -> Answer:
    """Send a head as it is, and read the answer to its end."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 80), PATIENCE_SEC) as connection:
        head = "\r\n".join([*lines, "Connection: close", "", ""])
        connection.sendall(head.encode("latin-1"))
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")
    return Answer(int(text.split(" ", 2)[1]), text)


TARGETS: Mapping[str, int] = {
    "http://evil.example/healthz": 200,
    "http://evil.example/ops": 303,
    "https://evil.example:99/ops": 303,
    "http://evil.example//evil.example/ops": 404,
    "http://evil.example": 404,
    "//evil.example/ops": 404,
    "///evil.example/ops": 404,
    "/\\evil.example/ops": 404,
    "/%2f/evil.example": 404,
    "/ops/..//evil.example": 303,
    "/ops/%2e%2e//evil.example": 303,
}


def test_a_request_target_of_another_host_is_answered_as_its_path(served: str) -> None:
    for target, status in TARGETS.items():
        answer = send(served, f"GET {target} HTTP/1.1", f"Host: {urlsplit(served).netloc}")
        assert answer.status == status, target
        location = _location(answer)
        assert location is None or location.startswith("/ops/sign-in?next=%2Fops"), target


def test_a_target_that_is_no_path_is_refused(served: str) -> None:
    for target in ("evil.example:443", "*", "evil.example/ops", "?x", "#x"):
        answer = send(served, f"GET {target} HTTP/1.1", "Host: site.example")
        assert answer.status in {400, 404}, target
        assert _location(answer) is None, target


HOSTS = (
    *("evil.example", "evil.example:99999", "evil.example:x", 'evil"><script>', "evil.example/x"),
    *("site.example@evil.example", "[::1", "[evil]", "evil\\x", "", "evil\xe9.example", "evil,x"),
    *("evil.example#", "evil.example?", "evil..example", "-evil", "evil example"),
)


def test_a_host_with_odd_characters_is_written_nowhere(served: str) -> None:
    paths = ("/ops", "/ops/sign-in", "/docs", "/openapi.json", f"/api/video-assets/{uuid4()}")
    for host in HOSTS:
        for path in paths:
            answer = send(served, f"GET {path} HTTP/1.1", f"Host: {host}")
            assert answer.status in {200, 303, 400, 401}, (host, path)
            assert "evil" not in answer.text, (host, path)
            location = _location(answer)
            assert location is None or location.startswith("/ops/"), (host, path)


def test_two_hosts_are_refused(served: str) -> None:
    for first, second in (("a.example", "b.example"), ("a.example", "a.example")):
        answer = send(served, "GET /ops HTTP/1.1", f"Host: {first}", f"Host: {second}")
        assert answer.status == 400


def test_no_header_replaces_the_method(served: str) -> None:
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "REQUEST_METHOD"):
        answer = requests.post(
            f"{served}/healthz?_method=GET",
            {"_method": "GET"},
            headers={name: "GET"},
            timeout=PATIENCE_SEC,
        )
        assert answer.status_code == 405, name


def _location(answer: Answer) -> str | None:
    head = answer.text.partition("\r\n\r\n")[0].split("\r\n")
    found = [line[10:] for line in head if line.lower().startswith("location: ")]
    return found[0] if found else None
