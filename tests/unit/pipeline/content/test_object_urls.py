from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import AnyHttpUrl, SecretStr

from pipeline.config.media_settings import MediaUrlSettings
from pipeline.content.media_tokens import TokenHolder, TokenRejected, verify_prefix
from pipeline.content.object_urls import (
    PROTECTED,
    PUBLIC_PREFIXES,
    attempt_prefixes,
    key_of,
    object_url,
    output_prefix,
    output_url,
    owner_prefix,
    playback_ends_at,
    poster_prefix,
    signed_url,
    source_key,
    stored_url,
)
from pipeline.domain.values import ADDRESS_FIELDS, Playback

URLS = MediaUrlSettings.model_construct(
    public_url=AnyHttpUrl("https://video.example"), secret_key=SecretStr("s" * 32)
)
ID = UUID(int=1)


@pytest.mark.parametrize("owner_id", ["..", "a/b", "a b", "ანა", "x" * 128, "ა" * 128, "."])
def test_any_owner_has_one_safe_folder(owner_id: str) -> None:
    segment = owner_prefix(owner_id).removeprefix("original/").removesuffix("/")

    assert segment not in {".", "..", ""}
    assert "/" not in segment
    assert len(segment) <= 200


def test_an_owner_called_as_anothers_folder_does_not_share_it() -> None:
    folder = owner_prefix("ა" * 128)

    assert owner_prefix(folder.removeprefix("original/").removesuffix("/")) != folder


def test_a_source_lies_in_its_owners_folder() -> None:
    assert source_key("ana", ID, ID, "mp4").startswith(owner_prefix("ana"))


def test_a_repeated_signature_is_the_same_url() -> None:
    expires_at = datetime(2026, 1, 1, tzinfo=UTC)
    url = signed_url(URLS, "original/ana/p/u/source.mp4", expires_at=expires_at)

    assert url == signed_url(URLS, "original/ana/p/u/source.mp4", expires_at=expires_at)
    later = signed_url(URLS, "original/ana/p/u/source.mp4", expires_at=expires_at + timedelta(1))
    assert url != later


def test_an_address_in_storage_is_resolved_and_signed_where_it_ends() -> None:
    expires_at = datetime(2026, 1, 1, tzinfo=UTC)
    key = "protected/a/master.m3u8"

    assert key_of(f"storage:{key}") == key
    assert key_of("https://cdn.example/x") is None
    assert stored_url(URLS, key, expires_at=expires_at) == signed_url(
        URLS, key, expires_at=expires_at
    )
    assert (
        stored_url(URLS, "processed/a/b", expires_at=None)
        == "https://video.example/media/public/processed/a/b"
    )


def test_every_output_has_a_stable_address_of_its_own() -> None:
    addresses = {output_url(URLS, ID, name, expires_at=None) for name in ADDRESS_FIELDS}

    assert addresses == {
        f"https://video.example/media/videos/{ID}/{name}"
        for name in ("manifest.m3u8", "video.mp4", "poster.jpg", "thumbnail.jpg", "storyboard.vtt")
    }


def test_a_stable_address_that_ends_opens_the_outputs_of_its_asset_only() -> None:
    expires_at = datetime(2026, 1, 1, tzinfo=UTC)
    url = output_url(URLS, ID, "manifest_url", expires_at=expires_at)
    token, _, path = url.removeprefix("https://video.example/media/").partition("/")
    now = expires_at - timedelta(seconds=1)

    assert path == f"videos/{ID}/manifest.m3u8"
    verify_prefix("s" * 32, token, f"videos/{ID}/poster.jpg", now=now)
    for other in (f"videos/{UUID(int=2)}/poster.jpg", f"protected/processed/{ID}/x", "videos"):
        with pytest.raises(TokenRejected):
            verify_prefix("s" * 32, token, other, now=now)


def test_a_token_for_one_object_opens_nothing_beside_it() -> None:
    expires_at = datetime(2026, 1, 1, tzinfo=UTC)
    url = object_url(URLS, "original/ana/one.mp4", expires_at=expires_at, holder=TokenHolder(ID))
    token = url.removeprefix("https://video.example/media/").partition("/")[0]
    now = expires_at - timedelta(seconds=1)

    verify_prefix("s" * 32, token, "original/ana/one.mp4", now=now)

    for other in ("original/ana/two.mp4", "original/ana/one.mp4/x", "original/ana"):
        with pytest.raises(TokenRejected):
            verify_prefix("s" * 32, token, other, now=now)
    with pytest.raises(TokenRejected):
        verify_prefix("s" * 32, token, "original/ana/one.mp4", now=expires_at)


def test_what_a_signed_asset_publishes_lies_outside_of_what_everybody_may_read() -> None:
    for prefix in (output_prefix, poster_prefix):
        assert prefix(ID, ID, Playback.PUBLIC).startswith(PUBLIC_PREFIXES)
        assert not prefix(ID, ID, Playback.SIGNED).startswith(PUBLIC_PREFIXES)
        assert prefix(ID, ID, Playback.SIGNED).startswith(PROTECTED)


def test_pictures_and_outputs_lie_apart_and_a_purge_knows_all_four_folders() -> None:
    folders = {
        prefix(ID, ID, playback)
        for prefix in (output_prefix, poster_prefix)
        for playback in Playback
    }

    assert len(folders) == 4
    assert set(attempt_prefixes(ID, ID)) == folders


LIFETIME_SEC = 6 * 3600


@pytest.mark.parametrize("second", [0, 1, 5399, 5400, 5401, 12_345])
def test_an_address_lives_its_lifetime_and_a_quarter_more_at_the_most(second: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)

    left = playback_ends_at(now, LIFETIME_SEC) - now

    assert timedelta(seconds=LIFETIME_SEC) <= left < timedelta(seconds=LIFETIME_SEC * 1.25)


def test_addresses_given_within_a_quarter_of_the_lifetime_are_the_same() -> None:
    start = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    within, beyond = start + timedelta(seconds=5399), start + timedelta(seconds=5400)

    assert playback_ends_at(start, LIFETIME_SEC) == playback_ends_at(within, LIFETIME_SEC)
    assert playback_ends_at(start, LIFETIME_SEC) != playback_ends_at(beyond, LIFETIME_SEC)
