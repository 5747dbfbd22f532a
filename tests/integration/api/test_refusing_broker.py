"""The API takes videos while its broker, which counts requests too, answers and refuses."""

from collections.abc import Callable

import pytest

from tests.conditions import wait_until
from tests.integration.api.conftest import Client
from tests.integration.worker.test_refusing_broker import REFUSALS, Refusal, broker_url, tell

__all__ = ["broker_url", "tell"]


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_create_is_taken_while_the_broker_refuses_and_counted_after(
    api: Client, tell: Callable[[tuple[str, ...]], None], refusal: Refusal
) -> None:
    assert api.create().status_code == 202
    tell(refusal.begin)
    assert [api.create().status_code for _ in range(5)] == [202] * 5
    assert api.get("/metrics", as_=None).status_code == 200
    tell(refusal.end)
    wait_until(lambda: "RateLimit" in api.create().headers)
