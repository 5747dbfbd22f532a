import string
from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import URLSafeSerializer

from pipeline.content.media_tokens import TokenRejected, sign_prefix, verify_prefix

KEY = "a secret key of the installation"
PREFIX = "processed/1f/2a"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def rejection(token: str, path: str, *, key: str = KEY, now: datetime = NOW) -> str:
    with pytest.raises(TokenRejected) as rejected:
        verify_prefix(key, token, path, now=now)
    return rejected.value.reason


@pytest.mark.parametrize("path", [f"{PREFIX}/master.m3u8", f"{PREFIX}/720p/seg_00000.m4s"])
def test_a_token_opens_every_path_below_its_prefix(path: str) -> None:
    verify_prefix(KEY, sign_prefix(KEY, PREFIX, expires_at=LATER), path, now=NOW)


@pytest.mark.parametrize(
    "path",
    [
        "",
        PREFIX,
        f"{PREFIX}/",
        f"{PREFIX}2/master.m3u8",
        "processed/1f/2b/master.m3u8",
        "processed/1f",
        "original/1f/2a/source.mp4",
        f"/{PREFIX}/master.m3u8",
        f"{PREFIX}/../2b/master.m3u8",
        f"{PREFIX}/./master.m3u8",
        f"{PREFIX}//master.m3u8",
        f"{PREFIX}/..\\..\\x",
        f"{PREFIX}/.hidden",
    ],
)
def test_a_token_opens_no_other_path(path: str) -> None:
    assert rejection(sign_prefix(KEY, PREFIX, expires_at=LATER), path) == "outside_prefix"


def test_a_token_ends_at_its_instant() -> None:
    token = sign_prefix(KEY, PREFIX, expires_at=LATER)

    verify_prefix(KEY, token, f"{PREFIX}/a", now=LATER - timedelta(seconds=1))
    assert rejection(token, f"{PREFIX}/a", now=LATER) == "expired"


@pytest.mark.parametrize("place", [0, 10, -1])
def test_a_token_with_a_character_changed_is_forged(place: int) -> None:
    token = list(sign_prefix(KEY, PREFIX, expires_at=LATER))
    token[place] = "A" if token[place] != "A" else "Q"

    assert rejection("".join(token), f"{PREFIX}/a") == "bad_signature"


@pytest.mark.parametrize("token", ["", ".", "public", "a.b", "ä.ö", "\0", "a" * 5000])
def test_what_is_no_token_is_rejected(token: str) -> None:
    assert rejection(token, f"{PREFIX}/a") == "bad_signature"


def test_another_key_opens_nothing() -> None:
    token = sign_prefix("another key", PREFIX, expires_at=LATER)

    assert rejection(token, f"{PREFIX}/a") == "bad_signature"


def test_something_else_signed_with_the_key_is_no_token() -> None:
    other = URLSafeSerializer(KEY, salt="something else").dumps([PREFIX, 2**31])

    assert rejection(str(other), f"{PREFIX}/a") == "bad_signature"


def test_a_token_stands_in_a_url_as_it_is() -> None:
    token = sign_prefix(KEY, "processed/ä/" + "b" * 300, expires_at=LATER)

    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")
    verify_prefix(KEY, token, "processed/ä/" + "b" * 300 + "/c", now=NOW)


@pytest.mark.parametrize("prefix", ["", "/", "/a", "a/", "a//b", "..", "a/..", ".a", "a\\b"])
def test_a_prefix_that_is_no_folder_is_not_signed(prefix: str) -> None:
    with pytest.raises(ValueError, match="segments"):
        sign_prefix(KEY, prefix, expires_at=LATER)
