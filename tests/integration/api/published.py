"""An API that a reverse proxy publishes, and the checks that hold behind every proxy."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import requests

from tests.conditions import PATIENCE_SEC
from tests.integration.api.conftest import SOURCE, Client, token
from tests.integration.api.operator import Operator
from tests.integration.api.test_callbacks import job
from tests.integration.api.test_serving import gunicorn
from tests.scripted_provider import callback

LARGE = 3 * 1024**2
"""More than a proxy takes by default (1 MB)."""


@dataclass(frozen=True)
class Published:
    """An API behind a proxy.

    Attributes:
        url: The address at which the proxy publishes it.
    """

    url: str

    @property
    def prefix(self) -> str:
        """The path of the address."""
        return urlsplit(self.url).path

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request to the proxy, as an owner."""
        headers = {"Authorization": f"Bearer {token()}", **options.pop("headers", {})}
        return requests.request(
            method,
            self.url + path,
            headers=headers,
            timeout=PATIENCE_SEC,
            allow_redirects=False,
            **options,
        )


@contextmanager
def api_for(url: str, environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Run the API that a proxy publishes at an address; yield its own address."""
    given = {**environment, "KHRONIKA_PROXIES": "1", "KHRONIKA_PUBLIC_URL": url}
    with gunicorn(given, log) as own:
        yield own


def check_locations(api: Published) -> None:
    """Follow the address of a new video, and read the path in a problem."""
    made = api.call(
        "POST", "/api/video-assets/create", json={"post_id": str(uuid4()), "source_url": SOURCE}
    )
    assert made.status_code == 202
    location = made.headers["Location"]
    assert location.startswith(f"{api.prefix}/api/video-assets/")
    assert Published(urljoin(api.url, "/")[:-1]).call("GET", location).status_code == 200
    missing = api.call("GET", f"/api/video-assets/{uuid4()}")
    assert missing.status_code == 404
    assert missing.json()["instance"].startswith(f"{api.prefix}/api/video-assets/")


def check_upload(api: Published) -> None:
    """Upload more than a proxy takes by default, to the address in the ticket."""
    wanted = {"filename": "a.mp4", "size_bytes": LARGE, "mime_type": "video/mp4"}
    issued = api.call("POST", "/api/uploads", json={"post_id": str(uuid4()), **wanted}).json()
    assert issued["url"].startswith(f"{api.url}/api/uploads/")
    put = requests.put(issued["url"], bytes(LARGE), headers=issued["headers"], timeout=PATIENCE_SEC)
    assert put.status_code == 200


def check_callback(api: Published) -> None:
    """Send callbacks to addresses with a slash at their end, which their senders may add."""
    for path in ("/webhook/selfhosted", "/webhook/selfhosted/", "/webhook/", "/webhook"):
        headers, body = callback(job(), "job.progress")
        answer = api.call("POST", f"/api/video-assets{path}", headers=headers, data=body)
        assert (answer.status_code, answer.json()) == (202, {"result": "stored"}), path


def check_console(api: Published) -> None:
    """Sign in, and follow every link, form and script of the pages."""
    operator = Operator(Client(urljoin(api.url, "/"), None))  # type: ignore[arg-type]
    at = f"{api.prefix}/ops"
    page = operator.get(f"{at}/failed")
    assert urlsplit(page.answer.url).path == f"{at}/sign-in"
    form = page.form(f"{at}/sign-in")
    page = operator.submit(form, ("token", token("ops", role="service_role")))
    assert (page.status, urlsplit(page.answer.url).path) == (200, f"{at}/failed")
    assert operator.cookie.path == at
    asked = ["", "/failed", "/inbox", "/accounts", "/audit", "/search?q=nothing", "/nothing"]
    for page in (operator.get(at + path) for path in asked):
        leads = {*page.links, *(each.action for each in page.forms), *_loaded(page.answer.text)}
        assert leads - {"#main"}
        for address in leads - {"#main"}:
            assert address.startswith((f"{at}", f"{api.prefix}/web/")), address
            assert operator.get(address).status in {200, 404, 405, 422}, address
        for address in _loaded(page.answer.text):
            assert operator.get(address).status == 200, address


def _loaded(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]*/web/[^"]*)"', html)


def check_pages(api: Published) -> None:
    """Read the documentation with its link, and the player element."""
    docs = api.call("GET", "/docs")
    [link] = re.findall(r'href="([^"#]*openapi.json)"', docs.text)
    assert requests.get(urljoin(docs.url, link), timeout=PATIENCE_SEC).json()["openapi"]
    assert api.call("GET", "/web/khronika-video.js").status_code == 200
    assert api.call("GET", "/healthz").status_code == 200


CHECKS = check_locations, check_upload, check_callback, check_console, check_pages
