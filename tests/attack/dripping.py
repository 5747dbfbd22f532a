"""Clients that send a byte now and then, and an honest request among them."""

import requests

from tests.attack.rows import Row
from tests.attack.target import Target
from tests.integration.api.test_slow_clients import DRIPPING, dripping

KINDS = (
    *("head", "request line", "small body", "large body", "refused body", "chunked body"),
    "nothing",
)


def attack(target: Target) -> list[Row]:
    """Hold hundreds of connections, and ask as an honest client meanwhile."""
    return [
        Row("dripping clients", f"{kind}, an honest request meanwhile", "200", _ask(target, kind))
        for kind in KINDS
    ]


def _ask(target: Target, kind: str) -> str:
    with dripping(target.url, *DRIPPING[kind]):
        try:
            return str(requests.get(f"{target.url}/healthz", timeout=30).status_code)
        except requests.RequestException as error:
            return type(error).__name__
