from pathlib import Path

import pytest

from pipeline.storage.open import StorageUrlInvalid, open_storage


def test_a_file_url_opens_its_folder_and_makes_it(tmp_path: Path) -> None:
    open_storage(f"file://{tmp_path}/with%20space").write("a", [b"x"])

    assert (tmp_path / "with space" / "a").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://bucket/folder", "not supported yet"),
        ("https://example.com", "file:///"),
        ("/srv/videos", "file:///"),
        ("", "file:///"),
        ("file://srv/videos", "no host"),
        ("file:videos", "absolute"),
        ("file:///srv/a?b", "quote"),
    ],
)
def test_a_url_that_names_no_place_is_refused_with_the_remedy(url: str, told: str) -> None:
    with pytest.raises(StorageUrlInvalid, match=told):
        open_storage(url)


def test_credentials_in_a_url_are_not_repeated() -> None:
    with pytest.raises(StorageUrlInvalid) as refusal:
        open_storage("s3://key:hunter2@host/bucket")

    assert "hunter2" not in str(refusal.value)
