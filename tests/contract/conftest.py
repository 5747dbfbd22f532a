"""Every storage driver, each on what it stands on: a folder, or a server of S3's protocol."""

from collections.abc import Iterator

import pytest

from pipeline.storage.base import Storage
from pipeline.storage.open import open_storage
from pipeline.storage.prepare import prepare_storage
from tests.buckets import CREDENTIALS, localbucket_server, moto_server

DRIVERS = ("local", "s3 on moto", "s3 on localbucket")


@pytest.fixture(scope="session", params=DRIVERS)
def driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Storage]:
    """One for all tests: the SDK takes 0.1 s for every client."""
    folder = tmp_path_factory.mktemp("storage")
    if request.param == "local":
        prepare_storage(folder.as_uri())
        yield open_storage(folder.as_uri())
        return
    server = moto_server() if request.param == "s3 on moto" else localbucket_server(folder)
    with server as running:
        yield open_storage(running.make_bucket("a/folder"), CREDENTIALS)


@pytest.fixture
def storage(driver: Storage) -> Iterator[Storage]:
    """An empty storage."""
    yield driver
    for key in {stat.key.partition("/")[0] for stat in driver.list()}:
        driver.delete_prefix(key)
    driver.remove_unfinished(older_than_sec=0)
