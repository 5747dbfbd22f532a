"""The demonstration site: gone unless it is asked for, and for this machine's own browser only."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from api.demo_posts import USERS
from api.demo_session import COOKIE
from tests.buckets import CREDENTIALS, S3Server
from tests.integration.api.conftest import Client, serving

PLACES = [
    ("GET", "/"),
    ("GET", "/compose"),
    ("GET", f"/posts/{uuid4()}"),
    ("GET", "/demo/token"),
    ("POST", "/demo/user"),
    ("GET", "/demo/sample.mp4"),
]


@pytest.fixture
def demo(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Client]:
    monkeypatch.setenv("KHRONIKA_DEMO", "true")
    monkeypatch.setenv("KHRONIKA_HOME", str(tmp_path))
    with serving(monkeypatch) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), PLACES)
def test_nothing_of_it_is_there_unless_it_is_asked_for(api: Client, method: str, path: str) -> None:
    assert api.call(method, path, as_=None).status_code == 404


def test_where_it_is_asked_for_it_shows_a_feed(demo: Client) -> None:
    answer = demo.get("/", as_=None)
    assert answer.status_code == 200
    assert "<khronika-video" in answer.text


def test_its_pages_load_what_is_ours_and_where_it_lies_in_a_bucket_the_buckets(
    demo: Client, localbucket: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = demo.get("/compose", as_=None).headers["Content-Security-Policy"]
    assert "connect-src 'self';" in alone
    monkeypatch.setenv("STORAGE_URL", localbucket.make_bucket())
    monkeypatch.setenv("KHRONIKA_STORAGE_KEY_ID", CREDENTIALS.key_id)
    monkeypatch.setenv("KHRONIKA_STORAGE_SECRET", CREDENTIALS.secret)
    with serving(monkeypatch) as client:
        policy = client.get("/compose", as_=None).headers["Content-Security-Policy"]
    for directive in ("connect-src", "media-src", "img-src"):
        assert f"{directive} 'self' {localbucket.endpoint}" in policy
    assert policy.replace(f" {localbucket.endpoint}", "") == alone


@pytest.mark.parametrize("host", ["videos.example", "192.0.2.7:8080", "localhost.evil.example"])
def test_by_another_name_it_gives_no_token(demo: Client, host: str) -> None:
    answer = demo.get("/demo/token", as_=None, headers={"Host": host}, allow_redirects=False)
    assert answer.status_code == 404
    assert "token" not in answer.json()


def test_a_post_of_somebody_else_is_not_taken_over(demo: Client) -> None:
    author, other = USERS
    body = {"id": str(uuid4()), "text": "The author's own words."}

    def publish(user: str, text: str) -> int:
        answer = demo.post("/demo/posts", {**body, "text": text}, as_=None, cookies={COOKIE: user})
        return answer.status_code

    assert publish(author, "The author's own words.") == 204
    assert publish(other, "Somebody else's.") == 404
    page = demo.get(f"/posts/{body['id']}", as_=None).text
    assert "own words" in page
    assert "Somebody" not in page
