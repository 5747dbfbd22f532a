"""The demonstration site: for this machine's own browsers only, with settings of its own."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID, uuid4

import jwt
import pytest
from flask.testing import FlaskClient

from examples.site.app import create_app
from examples.site.posts import USERS
from examples.site.settings import SiteSettings
from examples.site.visitors import COOKIE
from stack.demonstration_site import PROCFILE, site_settings
from stack.home import Home
from stack.supervisor import read_procfile
from tests.buckets import CREDENTIALS, S3Server

URL = "http://127.0.0.1:8081"
API = "http://127.0.0.1:8080"
SECRET = "j" * 32
AUTHOR, OTHER = USERS
PAGES = ["/", "/compose", f"/posts/{UUID(int=1)}", "/token", "/sample.mp4", "/static/site.css"]

SURROGATE = f'{{"id": "{uuid4()}", "text": "\\ud800"}}'
"""A text that no page can be encoded with."""


def make_settings(folder: Path, **more: str) -> SiteSettings:
    named = {"url": URL, "api_url": API, "jwt_secret": SECRET, "posts": folder / "posts.json"}
    return SiteSettings.model_validate(named | more)


@pytest.fixture
def site(tmp_path: Path) -> FlaskClient:
    return create_app(make_settings(tmp_path)).test_client()


def test_it_shows_a_feed_whose_elements_come_from_the_api(site: FlaskClient) -> None:
    answer = site.get("/", base_url=URL)
    assert answer.status_code == 200
    assert "<khronika-video" in answer.text
    assert f'src="{API}/web/khronika-video.js"' in answer.text


def test_its_pages_load_from_the_site_the_api_and_the_bucket_alone(tmp_path: Path) -> None:
    def policy(**settings: str) -> str:
        client = create_app(make_settings(tmp_path, **settings)).test_client()
        return client.get("/compose", base_url=URL).headers["Content-Security-Policy"]

    alone = policy()
    assert f"connect-src 'self' {API};" in alone
    assert f"script-src 'self' {API};" in alone
    bucket = "https://videos.example:9000"
    with_bucket = policy(bucket_url=f"{bucket}/folder/")
    for directive in ("connect-src", "media-src", "img-src"):
        assert any(
            part.split()[0] == directive and bucket in part for part in with_bucket.split("; ")
        )
    assert with_bucket.replace(f" {bucket}", "") == alone


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("host", ["videos.example", "192.0.2.7:8081", "localhost.evil.example"])
def test_by_the_name_of_another_machine_nothing_is_there(
    site: FlaskClient, host: str, path: str
) -> None:
    answer = site.get(path, base_url=f"http://{host}")
    assert answer.status_code == 404
    assert "token" not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_to_another_machine_nothing_is_there_by_any_name(site: FlaskClient, path: str) -> None:
    answer = site.get(path, base_url=URL, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert answer.status_code == 404
    assert "token" not in answer.text


def test_by_another_name_of_this_machine_it_redirects_to_the_origin_that_the_api_allows(
    site: FlaskClient,
) -> None:
    answer = site.get("/compose", base_url="http://localhost:8081")
    assert (answer.status_code, answer.location) == (302, f"{URL}/compose")


def test_a_token_says_who_its_visitor_is_and_ends_within_the_hour(site: FlaskClient) -> None:
    def claims() -> Mapping[str, object]:
        token = site.get("/token", base_url=URL).get_json()["token"]
        return jwt.decode(token, SECRET, algorithms=["HS256"], audience="authenticated")

    first = claims()
    assert (first["sub"], first["role"], first["iss"]) == (AUTHOR, "authenticated", "khronika")
    assert int(str(first["exp"])) - int(str(first["iat"])) <= 3600
    site.post("/user", data={"user": OTHER}, base_url=URL)
    assert claims()["sub"] == OTHER
    site.set_cookie(COOKIE, "service", domain="127.0.0.1")
    assert claims()["sub"] == AUTHOR


def test_a_post_of_another_user_is_not_taken_over_nor_withdrawn(site: FlaskClient) -> None:
    post_id = str(uuid4())

    def publish(user: str, text: str) -> int:
        site.post("/user", data={"user": user}, base_url=URL)
        return site.post("/posts", json={"id": post_id, "text": text}, base_url=URL).status_code

    assert publish(AUTHOR, "The author's own words.") == 204
    assert publish(OTHER, "Somebody else's.") == 404
    site.delete(f"/posts/{post_id}", base_url=URL)
    page = site.get(f"/posts/{post_id}", base_url=URL).text
    assert "own words" in page
    assert "Somebody" not in page
    site.post("/user", data={"user": AUTHOR}, base_url=URL)
    site.delete(f"/posts/{post_id}", base_url=URL)
    assert site.get(f"/posts/{post_id}", base_url=URL).status_code == 404


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": '{"id": "1"}', "content_type": "text/plain"}, 415),
        ({"data": "{", "content_type": "application/json"}, 422),
        ({"json": {"id": "no uuid"}}, 422),
        ({"json": {"id": str(uuid4()), "text": "a" * 501}}, 422),
        (
            {
                "data": f'{{"id": "{uuid4()}", "text": "\\ud800"}}',
                "content_type": "application/json",
            },
            422,
        ),
    ],
)
def test_a_post_that_is_none_is_refused(
    site: FlaskClient, options: Mapping[str, object], status: int
) -> None:
    before = site.get("/", base_url=URL).text
    assert site.post("/posts", base_url=URL, **options).status_code == status
    assert site.get("/", base_url=URL).text == before


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"KHRONIKA_ENV": "production"}, "KHRONIKA_ENV: "),
        ({"KHRONIKA_ENV": ""}, "KHRONIKA_ENV: "),
        ({"KHRONIKA_SITE_URL": "http://192.0.2.7:8081"}, "KHRONIKA_SITE_URL: "),
        ({"KHRONIKA_SITE_URL": "http://videos.example"}, "must name this machine"),
        ({"KHRONIKA_SITE_JWT_SECRET": ""}, "KHRONIKA_SITE_JWT_SECRET: Field required"),
        ({"KHRONIKA_SITE_JWT_SECRET": "short-secret"}, "KHRONIKA_SITE_JWT_SECRET: "),
    ],
)
def test_it_does_not_start_for_another_machine_nor_without_its_key(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: Mapping[str, str],
    words: str,
) -> None:
    for name, value in {"KHRONIKA_SITE_JWT_SECRET": SECRET, **wrong}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        create_app()
    said = capsys.readouterr().err
    assert words in said
    assert "short-secret" not in said


def test_its_process_listens_on_loopback() -> None:
    assert ":-127.0.0.1:" in read_procfile(PROCFILE)["site"]


@pytest.fixture
def stack_environment(tmp_path: Path) -> dict[str, str]:
    return {
        "STORAGE_URL": tmp_path.as_uri(),
        "KHRONIKA_PUBLIC_URL": "https://tunnel.example/",
        "KHRONIKA_JWT_SECRET": SECRET,
        "KHRONIKA_JWT_ISSUER": "our site",
        "KHRONIKA_CORS_ORIGINS": "https://site.example",
    }


def test_a_stack_tells_it_what_a_site_has_to_know_and_has_the_api_allow_it(
    stack_environment: dict[str, str], localbucket: S3Server, tmp_path: Path
) -> None:
    told = site_settings(Home(tmp_path), stack_environment, 8123)
    assert told == {
        "KHRONIKA_CORS_ORIGINS": "https://site.example,http://127.0.0.1:8123",
        "KHRONIKA_SITE_URL": "http://127.0.0.1:8123",
        "KHRONIKA_SITE_API_URL": "https://tunnel.example/",
        "KHRONIKA_SITE_POSTS": str(tmp_path / "site-posts.json"),
        "KHRONIKA_SITE_JWT_SECRET": SECRET,
        "KHRONIKA_SITE_JWT_ISSUER": "our site",
    }
    on_bucket = stack_environment | {
        "STORAGE_URL": localbucket.make_bucket(),
        "KHRONIKA_STORAGE_KEY_ID": CREDENTIALS.key_id,
        "KHRONIKA_STORAGE_SECRET": CREDENTIALS.secret,
    }
    told = site_settings(Home(tmp_path), on_bucket, 8123)
    assert told["KHRONIKA_SITE_BUCKET_URL"] == localbucket.endpoint
