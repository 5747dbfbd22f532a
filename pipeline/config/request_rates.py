"""Rates of requests, such as ``60/minute``, and the stores that count requests."""

from typing import Annotated
from urllib.parse import urlsplit

from limits import RateLimitItem, parse_many
from pydantic import AfterValidator, SecretStr

PER_PROCESS = "memory://"
"""Store of each process alone; a limit is then multiplied by the number of processes."""

SHARED = frozenset({"redis", "rediss", "redis+unix"})
"""Schemes of the stores that all processes share."""


def parse_rate(text: str) -> RateLimitItem:
    """Parse one rate, such as ``60/minute`` or ``10 per 5 minutes``.

    Raises:
        ValueError: the text is not exactly one rate.
    """
    try:
        rates = parse_many(text)
    except ValueError:
        rates = []
    if len(rates) != 1 or rates[0].amount < 1:
        raise ValueError("is not a rate such as 60/minute")
    return rates[0]


def _is_rate(text: str) -> str:
    parse_rate(text)
    return text


Rate = Annotated[str, AfterValidator(_is_rate)]


def multiply_rate(rate: str, factor: int) -> str:
    """Return the rate that ``factor`` callers share."""
    item = parse_rate(rate)
    return f"{item.amount * factor} per {item.multiples} {item.GRANULARITY.name}"


def store_for(broker_url: str) -> str:
    """Return the default store: the broker if it can count, else each process."""
    url = redis_url(broker_url)
    return url if urlsplit(url).scheme in SHARED else PER_PROCESS


def redis_url(url: str) -> str:
    """Return the URL with Redis' scheme in place of Valkey's, which has the same protocol."""
    if url.startswith("valkey"):
        return "redis" + url.removeprefix("valkey")
    return url


def _is_store(url: SecretStr) -> SecretStr:
    plain = redis_url(url.get_secret_value())
    if plain != PER_PROCESS and urlsplit(plain).scheme not in SHARED:
        raise ValueError("is neither redis://, rediss://, redis+unix://, valkey:// nor memory://")
    return SecretStr(plain)


StoreUrl = Annotated[SecretStr, AfterValidator(_is_store)]
