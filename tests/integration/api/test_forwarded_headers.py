"""Headers that only a proxy may write, sent by a client of gunicorn on this machine."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from tests.integration.api.conftest import PATIENCE_SEC
from tests.integration.api.test_serving import gunicorn

CHANGED = (
    *({"SCRIPT_NAME": "/x"}, {"PATH_INFO": "/metrics"}, {"Script-Name": "/x"}),
    *({"X-Forwarded-Prefix": "/x"}, {"X-Script-Name": "/x"}, {"REMOTE_ADDR": "6.6.6.6"}),
    *({"X-Original-URL": "/metrics"}, {"X-Rewrite-URL": "/metrics"}),
)
SECURE = (
    *({"X-Forwarded-Proto": "https"}, {"X-Forwarded-Protocol": "ssl"}, {"X-Forwarded-Ssl": "on"}),
    {"Forwarded": "proto=https;host=evil.example"},
)


@pytest.fixture
def served(environment: Mapping[str, str], tmp_path: Path) -> Iterator[str]:
    with gunicorn({**environment, "KHRONIKA_PROXIES": "0"}, tmp_path / "log") as url:
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
