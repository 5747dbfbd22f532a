"""/media/{token}/{path}: outputs and sources, in parts."""

from datetime import UTC, datetime, timedelta

import pytest
import requests

from pipeline.content.media_tokens import sign_prefix
from tests.integration.api.conftest import SECRET_KEY, Client, World
from tests.integration.api.fixed_assets import (
    FOLDER,
    PICTURES,
    PUBLISHED,
    SOURCE,
    SOURCE_HOLDER,
    make_fixed_assets,
)

CONTENT = bytes(range(256)) * 2000
KEY = f"{FOLDER}/720p/seg_00000.m4s"
EMPTY = f"{FOLDER}/empty.mp4"


@pytest.fixture(autouse=True)
def _stored(api: Client, world: World) -> None:
    make_fixed_assets(api, world)
    for key in (KEY, SOURCE, f"{PICTURES}/poster.jpg"):
        api.services.storage.write(key, [CONTENT])
    api.services.storage.write(f"{FOLDER}/master.m3u8", [b"#EXTM3U\n"])
    api.services.storage.write(EMPTY, [b""])


def read(api: Client, key: str = KEY, token: str = "public", **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.get(f"/media/{token}/{key}", as_=None, headers=named)


def signed(prefix: str, *, lasts: timedelta = timedelta(minutes=5), key: str = SECRET_KEY) -> str:
    ends_at = datetime.now(UTC) + lasts
    return sign_prefix(key, prefix, expires_at=ends_at, holder=SOURCE_HOLDER)


def test_an_output_is_everybodys_for_ever(api: Client) -> None:
    answer = read(api)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("key", "type_"),
    [
        (f"{FOLDER}/master.m3u8", "application/vnd.apple.mpegurl"),
        (f"{PICTURES}/poster.jpg", "image/jpeg"),
    ],
)
def test_each_kind_has_its_type(api: Client, key: str, type_: str) -> None:
    assert read(api, key).headers["Content-Type"] == type_


LAST = len(CONTENT) - 1
RANGES = [
    ("bytes=0-0", 0, 0),
    ("bytes=0-", 0, LAST),
    ("bytes=100-199", 100, 199),
    ("bytes=300000-399999", 300_000, 399_999),
    ("bytes=-10", LAST - 9, LAST),
    (f"bytes={LAST}-", LAST, LAST),
    (f"bytes=5-{LAST + 1000}", 5, LAST),
    (f"bytes=-{LAST + 1000}", 0, LAST),
]


@pytest.mark.parametrize(("asked", "first", "last"), RANGES)
def test_a_part_that_is_asked_for_is_given_alone(
    api: Client, asked: str, first: int, last: int
) -> None:
    answer = read(api, Range=asked)
    assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize(
    "asked",
    [
        *("bytes=a-b", "bytes=1-2-3", "pages=1-2", "bytes=0-1,5-6", "bytes=-", ""),
        *("bytes=5-1", "bytes=-0"),
    ],
)
def test_a_range_that_means_nothing_or_is_several_is_answered_with_the_whole(
    api: Client, asked: str
) -> None:
    answer = read(api, Range=asked)
    assert (answer.status_code, len(answer.content)) == (200, len(CONTENT))


@pytest.mark.parametrize("asked", [f"bytes={len(CONTENT)}-", "bytes=999999999-"])
def test_a_range_past_the_end_is_416_and_tells_the_size(api: Client, asked: str) -> None:
    answer = read(api, Range=asked)
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_no_part_of_an_empty_object_can_be_given(api: Client) -> None:
    assert read(api, EMPTY).content == b""
    assert read(api, EMPTY, Range="bytes=0-").status_code == 416


def test_a_part_of_another_version_is_not_given(api: Client) -> None:
    whole = read(api)
    for condition in (whole.headers["ETag"], whole.headers["Last-Modified"]):
        assert read(api, Range="bytes=0-1", If_Range=condition).status_code == 206
    for condition in ('"other"', "W/" + whole.headers["ETag"], "Mon, 01 Jan 2024 00:00:00 GMT"):
        assert read(api, Range="bytes=0-1", If_Range=condition).status_code == 200


def test_what_a_client_holds_is_not_sent_again(api: Client) -> None:
    whole = read(api)
    assert read(api, If_None_Match=whole.headers["ETag"]).status_code == 304
    assert read(api, If_None_Match='"other"').status_code == 200
    assert read(api, If_Modified_Since=whole.headers["Last-Modified"]).status_code == 304
    stale = read(api, If_None_Match='"other"', If_Modified_Since=whole.headers["Last-Modified"])
    assert stale.status_code == 200


def test_head_describes_and_sends_nothing(api: Client) -> None:
    answer = api.call("HEAD", f"/media/public/{KEY}", as_=None)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    part = api.call("HEAD", f"/media/public/{KEY}", as_=None, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["Content-Length"]) == (206, "10")


@pytest.mark.parametrize(
    "key",
    [
        "original/ana/post/upload/source.mp4",
        "processed/../original/ana/post/upload/source.mp4",
        "processed/%2e%2e/original/ana/post/upload/source.mp4",
        "processed/..%2foriginal/ana/post/upload/source.mp4",
        "processed/%252e%252e/original/ana/post/upload/source.mp4",
        "processed//../original/ana/post/upload/source.mp4",
        "processed\\..\\original\\ana\\post\\upload\\source.mp4",
        "./original/ana/post/upload/source.mp4",
        ".incoming/x",
        "health/1",
        "processedx/a",
        "processed",
        "processed/",
        "processed/asset",
        "processed/asset/attempt/720p/seg_00000.m4s",
        f"processed/{PUBLISHED}",
        f"{FOLDER}/missing.mp4",
        "processed/%00",
        "processed/" + "x" * 2000,
        "%2fetc/passwd",
        "/etc/passwd",
    ],
)
def test_nothing_but_outputs_is_everybodys(api: Client, key: str) -> None:
    # A client that does not tidy the path up first, as attackers' do not.
    prepared = requests.Request("GET", f"{api.url}/").prepare()
    prepared.url = f"{api.url}/media/public/{key}"
    with requests.Session() as session:
        answer = session.send(prepared, timeout=60)
    assert answer.status_code == 404
    assert CONTENT[:100] not in answer.content


def test_a_token_opens_its_folder_for_a_while(api: Client) -> None:
    token = signed("original/ana/post/upload")
    answer = read(api, "original/ana/post/upload/source.mp4", token, Range="bytes=0-9")
    assert (answer.status_code, answer.content) == (206, CONTENT[:10])
    assert "private" in answer.headers["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in answer.headers


A_DAY = timedelta(days=1)
"""Longer than a test session: these are signed when the module is read."""


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (signed("original/ana/post/upload", lasts=timedelta(seconds=-1)), "media_token_expired"),
        (signed("original/ana/post/upload", key="o" * 32, lasts=A_DAY), "media_token_invalid"),
        (signed("original/ana/post/upl", lasts=A_DAY), "media_token_invalid"),
        (signed("original/boris", lasts=A_DAY), "media_token_invalid"),
        ("Public", "media_token_invalid"),
        ("x.y", "media_token_invalid"),
    ],
    ids=["expired", "other key", "folder above", "other owner", "wrong case", "no token"],
)
def test_any_other_token_opens_nothing(api: Client, token: str, code: str) -> None:
    answer = read(api, "original/ana/post/upload/source.mp4", token)
    assert (answer.status_code, answer.json()["code"]) == (403, code)


def test_only_listed_sites_read_signed_media_from_a_page(api: Client) -> None:
    token = signed("original/ana/post/upload")
    key = "original/ana/post/upload/source.mp4"
    listed = read(api, key, token, Origin="https://site.example")
    assert listed.headers["Access-Control-Allow-Origin"] == "https://site.example"
    other = read(api, key, token, Origin="https://evil.example")
    assert "Access-Control-Allow-Origin" not in other.headers
