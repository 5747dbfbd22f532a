import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.storage.base import KeyRefused
from pipeline.storage.multipart import Multipart
from pipeline.storage.s3 import S3Storage
from pipeline.storage.s3_client import S3Trouble
from pipeline.storage.urls import Credentials, S3Place

NOWHERE = S3Place("bucket", "a/folder/", "http://127.0.0.1:9", None)
CREDENTIALS = Credentials("key-id", "hunter2")


@pytest.fixture(scope="module")
def away() -> S3Storage:
    """A service that does not answer."""
    return S3Storage(NOWHERE, CREDENTIALS)


def test_a_service_that_is_away_is_trouble_of_the_medium(away: S3Storage) -> None:
    with pytest.raises(S3Trouble, match="S3 HeadObject: EndpointConnectionError") as trouble:
        away.stat("a")
    assert isinstance(trouble.value, OSError)


def test_no_signature_is_logged_and_no_secret_shown(
    away: S3Storage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signed = away.presign_part(Multipart("a", "id"), 1, size_bytes=1, md5=None, expires_sec=60)
    assert signed is not None
    (signature,) = parse_qs(urlsplit(signed.url).query)["X-Amz-Signature"]

    assert signature not in caplog.text
    assert "hunter2" not in caplog.text + signed.url + repr(away)


def test_a_key_has_its_length_with_the_prefix(away: S3Storage) -> None:
    with pytest.raises(KeyRefused, match="prefix"):
        away.stat("/".join(["a" * 100] * 10) + "/" + "b" * 10)
