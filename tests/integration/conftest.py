"""S3 servers that tests of every part may keep their objects in."""

from collections.abc import Iterator

import pytest

from tests.buckets import S3Server, localbucket_server, moto_server


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def localbucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with localbucket_server(tmp_path_factory.mktemp("buckets")) as server:
        yield server
