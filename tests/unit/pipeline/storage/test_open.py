from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.storage.open import open_storage
from pipeline.storage.prepare import prepare_storage
from pipeline.storage.urls import Credentials, S3Place, StorageUrlInvalid, bucket_of


def test_a_file_url_opens_the_folder_that_was_prepared(tmp_path: Path) -> None:
    prepare_storage(f"file://{tmp_path}/with%20space")
    open_storage(f"file://{tmp_path}/with%20space").write("a", [b"x"])

    assert (tmp_path / "with space" / "a").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3:///folder", "names a bucket"),
        ("s3://key:secret@bucket/folder", "credentials"),
        ("s3://bucket/../a", "prefix"),
        ("s3://bucket?acl=public", "endpoint and region"),
        ("s3://bucket?endpoint=", "endpoint and region"),
        ("s3://bucket?endpoint=ftp://host", "http"),
        ("s3://bucket?endpoint=https://key:secret@host", "without credentials"),
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


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket", S3Place("bucket", "", None, None)),
        ("s3://bucket/a/b/", S3Place("bucket", "a/b/", None, None)),
        (
            "s3://b?endpoint=https://project.supabase.co/storage/v1/s3&region=eu-central-1",
            S3Place("b", "", "https://project.supabase.co/storage/v1/s3", "eu-central-1"),
        ),
    ],
)
def test_an_s3_url_names_a_bucket_and_where_it_is(url: str, place: S3Place) -> None:
    assert bucket_of(urlsplit(url)) == place


def test_credentials_are_not_shown() -> None:
    assert "hunter2" not in repr(Credentials("key", "hunter2"))
