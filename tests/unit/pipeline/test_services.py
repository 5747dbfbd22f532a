"""What of our own may be fetched, wherever it lies."""

from pathlib import Path

import pytest

from pipeline.net.fetch_policy import FetchPolicy, FetchRefused, check_url
from pipeline.services import own_policy
from pipeline.storage.base import Storage
from pipeline.storage.open import open_storage
from pipeline.storage.urls import Credentials

CREDENTIALS = Credentials("key-id", "hunter2")
MINIO = "s3://videos?endpoint=http%3A%2F%2Fminio.internal%3A9000"
IN_A_REGION = "s3://my-videos?region=eu-west-1"


def policy_of(storage: Storage, public_url: str = "http://10.0.0.5:8080") -> FetchPolicy:
    return own_policy(public_url, storage, timeout_sec=10)


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    return open_storage(tmp_path.as_uri())


def test_our_own_address_is_read_wherever_it_is(folder: Storage) -> None:
    check_url("http://10.0.0.5:8080/media/public/a.m3u8", policy_of(folder))
    check_url("https://10.0.0.5/media/public/a.m3u8", policy_of(folder))
    check_url("https://videos.example/media/a", policy_of(folder, "https://videos.example."))


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.6:8080/",
        "http://10.0.0.5:6379/",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8080/",
        "https://elsewhere.example/a.m4s",
    ],
)
def test_no_other_address_is_inside_or_outside(url: str, folder: Storage) -> None:
    with pytest.raises(FetchRefused):
        check_url(url, policy_of(folder))


@pytest.mark.parametrize("url", ["s3://my-videos", IN_A_REGION, MINIO])
def test_our_bucket_is_read_where_its_signed_addresses_lead(url: str) -> None:
    bucket = open_storage(url, CREDENTIALS)
    signed = bucket.presign_get("a.m4s", expires_sec=60)
    assert signed is not None

    check_url(signed, policy_of(bucket))
    with pytest.raises(FetchRefused):
        check_url("https://elsewhere.example/a.m4s", policy_of(bucket))


def test_our_bucket_is_read_where_its_region_is() -> None:
    policy = policy_of(open_storage(IN_A_REGION, CREDENTIALS))

    check_url("https://my-videos.s3.eu-west-1.amazonaws.com/a", policy)
    with pytest.raises(FetchRefused):
        check_url("https://my-videos.s3.eu-west-2.amazonaws.com/a", policy)
