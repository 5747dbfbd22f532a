"""The store that requests are counted in: never waited for long, and left alone while it fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from limits.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from api.wiring.publish_breaker import Breaker
from pipeline.config.request_rates import PER_PROCESS, SHARED

TIMEOUT_SEC = 0.1
"""Each of connecting and reading; a store on the same network answers in 1 ms."""

KEY_PREFIX = "khronika:limits"

BOUNDED = "bounded+"
"""Stands before the scheme of a store that is used through the class below."""

log = structlog.get_logger()


class StoreAway(Exception):
    """The store has failed lately and is not asked."""


class BoundedRedis(RedisStorage):
    """Redis or Valkey behind a breaker. A request waits for it ``2 * TIMEOUT_SEC`` at worst."""

    STORAGE_SCHEME = [BOUNDED + scheme for scheme in sorted(SHARED)]  # noqa: RUF012 - its base's

    def __init__(self, uri: str, **_options: float | str | bool) -> None:
        self._breaker = Breaker()
        super().__init__(
            uri.removeprefix(BOUNDED),
            key_prefix=KEY_PREFIX,
            socket_connect_timeout=TIMEOUT_SEC,
            socket_timeout=TIMEOUT_SEC,
            # The client's own patience is three more tries with pauses of seconds between them.
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # all go to the client
        )

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a request, if there is room for it."""
        with self._watched():
            return super().acquire_entry(key, limit, expiry, amount)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest request was counted that still is, and how many are."""
        with self._watched():
            return super().get_moving_window(key, limit, expiry)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        if not self._breaker.allows():
            raise StoreAway
        try:
            yield
        except RedisError as error:
            self._breaker.failed()
            log.warning("limits_unavailable", error=type(error).__name__)
            raise
        self._breaker.succeeded()


def bounded(url: str) -> str:
    """The same store, through the class above."""
    return url if url == PER_PROCESS else BOUNDED + url
