from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from pipeline.addresses import key_of, owner_prefix, public_url, signed_url, source_key

SETTINGS: Any = SimpleNamespace(base_url="https://video.example", secret_key=SecretStr("s" * 32))
ID = UUID(int=1)


@pytest.mark.parametrize("owner_id", ["..", "a/b", "a b", "ანა", "x" * 128, "ა" * 128, "."])
def test_any_owner_has_one_safe_folder(owner_id: str) -> None:
    segment = owner_prefix(owner_id).removeprefix("original/").removesuffix("/")

    assert segment not in {".", "..", ""}
    assert "/" not in segment
    assert len(segment) <= 200


def test_a_source_lies_in_its_owners_folder() -> None:
    assert source_key("ana", ID, ID, "mp4").startswith(owner_prefix("ana"))


def test_a_repeated_signature_is_the_same_url() -> None:
    expires_at = datetime(2026, 1, 1, tzinfo=UTC)
    url = signed_url(SETTINGS, "original/ana/p/u/source.mp4", expires_at=expires_at)

    assert url == signed_url(SETTINGS, "original/ana/p/u/source.mp4", expires_at=expires_at)
    later = signed_url(
        SETTINGS, "original/ana/p/u/source.mp4", expires_at=expires_at + timedelta(1)
    )
    assert url != later


def test_addresses_in_storage_are_resolved_and_others_left_alone() -> None:
    assert key_of("storage:processed/a/b") == "processed/a/b"
    assert key_of("https://cdn.example/x") is None
    assert public_url(SETTINGS, "https://cdn.example/x") == "https://cdn.example/x"
    assert (
        public_url(SETTINGS, "storage:processed/a/b")
        == "https://video.example/media/public/processed/a/b"
    )
    assert public_url(SETTINGS, None) is None
