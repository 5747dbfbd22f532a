"""The store of the rate limits: short timeouts, and a breaker while it fails."""

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
"""For connecting and for reading; a store on the same network answers in 1 ms."""

KEY_PREFIX = "khronika:limits"

BOUNDED = "bounded+"
"""The prefix of the scheme of a store that is used through ``BoundedRedis``."""

log = structlog.get_logger()


class StoreAway(Exception):
    """The store has failed recently and is not called."""


class BoundedRedis(RedisStorage):
    """Redis or Valkey behind a breaker. A request waits for it at most ``2 * TIMEOUT_SEC``."""

    STORAGE_SCHEME = [BOUNDED + scheme for scheme in sorted(SHARED)]  # noqa: RUF012 - its base's

    def __init__(self, uri: str, **_options: float | str | bool) -> None:
        self._breaker = Breaker()
        super().__init__(
            uri.removeprefix(BOUNDED),
            key_prefix=KEY_PREFIX,
            socket_connect_timeout=TIMEOUT_SEC,
            socket_timeout=TIMEOUT_SEC,
            # The client's default is three more tries with pauses of seconds between them.
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # all go to the client
        )

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a request if the limit allows it."""
        with self._breaking():
            return super().acquire_entry(key, limit, expiry, amount)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the time of the oldest request in the window, and the number of requests."""
        with self._breaking():
            return super().get_moving_window(key, limit, expiry)

    @contextmanager
    def _breaking(self) -> Iterator[None]:
        if not self._breaker.allows():
            raise StoreAway
        try:
            yield
        except RedisError as error:
            self._breaker.failed()
            log.warning("limits_unavailable", error=type(error).__name__)
            raise
        self._breaker.succeeded()


def bounded_url(url: str) -> str:
    """Return the address of the same store, used through ``BoundedRedis``."""
    return url if url == PER_PROCESS else BOUNDED + url
