"""How often something may be asked for: ``60/minute``, and where such requests are counted."""

from typing import Annotated
from urllib.parse import urlsplit

from limits import RateLimitItem, parse_many
from pydantic import AfterValidator, SecretStr

PER_PROCESS = "memory://"
"""Each process counts for itself: a limit is then as many times larger as there are processes."""

SHARED = frozenset({"redis", "rediss", "redis+unix"})
"""Schemes of stores that all processes share."""


def parse_rate(text: str) -> RateLimitItem:
    """One rate, such as ``60/minute`` or ``10 per 5 minutes``.

    Raises:
        ValueError: it is none, or several.
    """
    try:
        rates = parse_many(text)
    except ValueError:
        rates = []
    if len(rates) != 1 or rates[0].amount < 1:
        raise ValueError("is no rate such as 60/minute")
    return rates[0]


def _is_rate(text: str) -> str:
    parse_rate(text)
    return text


Rate = Annotated[str, AfterValidator(_is_rate)]


def multiply_rate(rate: str, factor: int) -> str:
    """The rate at which ``factor`` callers may ask who share it."""
    item = parse_rate(rate)
    return f"{item.amount * factor} per {item.multiples} {item.GRANULARITY.name}"


def store_for(broker_url: str) -> str:
    """Where to count unless it is said: with the broker, if it can."""
    url = redis_url(broker_url)
    return url if urlsplit(url).scheme in SHARED else PER_PROCESS


def redis_url(url: str) -> str:
    """The URL with Redis' name for its scheme: Valkey speaks the same protocol."""
    if url.startswith("valkey"):
        return "redis" + url.removeprefix("valkey")
    return url


def _is_store(url: SecretStr) -> SecretStr:
    plain = redis_url(url.get_secret_value())
    if plain != PER_PROCESS and urlsplit(plain).scheme not in SHARED:
        raise ValueError("is neither redis://, rediss://, redis+unix://, valkey:// nor memory://")
    return SecretStr(plain)


StoreUrl = Annotated[SecretStr, AfterValidator(_is_store)]
