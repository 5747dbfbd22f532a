"""The API while every connection of its pool is in use."""

from contextlib import ExitStack

import requests

from pipeline.runtime.database import POOL_WAIT_SEC
from tests.integration.api.conftest import Client, token

MOST = 10
"""The kept connections, and as many again."""


def test_a_request_without_a_connection_is_refused_soon(api: Client) -> None:
    post_id = api.create().json()["post_id"]
    read = f"{api.url}/api/video-assets/{post_id}"
    headers = {"Authorization": f"Bearer {token('ana')}"}
    with ExitStack() as held:
        for _ in range(MOST):
            held.enter_context(api.services.engines.api.connect())
        refused = requests.get(read, headers=headers, timeout=4 * POOL_WAIT_SEC)
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert refused.json()["retryable"] is True
    assert requests.get(read, headers=headers, timeout=4 * POOL_WAIT_SEC).status_code == 200
