"""A failure of the storage's disk is answered with a code that says to come again."""

import errno

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from api.http import error_handlers

# One for each way in which a disk, a mount or a network file system fails.
NUMBERS = (
    *(errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT),
    *(errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT),
)


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    app = APIFlask("test")
    error_handlers.register(app)

    @app.get("/<int:number>")
    def fail(number: int) -> None:
        raise OSError(number, "scripted", "/secret/path")

    return app.test_client()


@pytest.mark.parametrize("number", NUMBERS, ids=[errno.errorcode[n] for n in NUMBERS])
def test_a_failure_of_a_disk_is_answered_with_the_storages_code(
    client: FlaskClient, number: int
) -> None:
    answer = client.get(f"/{number}")

    assert answer.status_code == 503
    assert answer.get_json()["code"] == "storage_unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert b"/secret/path" not in answer.data
