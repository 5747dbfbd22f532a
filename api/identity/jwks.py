"""The published keys of one issuer, cached in the process (RFC 7517).

PyJWT's client parses the key set. Ours decides on the requests, because strangers send the tokens:
requests are at least the cool-down apart, concurrent callers share the answer of one request, and
known keys continue to verify while the issuer does not answer.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import structlog
from jwt import PyJWK, PyJWKClient, PyJWTError

from pipeline.net.fetch import FetchPolicy, FetchRefused, GuardedFetcher
from pipeline.net.origins import web_origin_of

log = structlog.get_logger()

MAX_BYTES = 64 * 1024
"""A set of twenty RSA keys with their certificates has about 50 KiB."""

FETCH_TIMEOUT_SEC = 3.0
"""The longest wait of a caller for the keys: connection, redirects and body together."""

NO_KEYS = (
    FetchRefused,
    PyJWTError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""The errors of a request for keys: no answer, or an answer that is not a key set."""


class KeysUnavailable(Exception):
    """The issuer does not answer, and the known keys are too old or do not contain the key."""


@dataclass(frozen=True)
class Patience:
    """The times of requests and of known keys, in seconds.

    Attributes:
        life_sec: Younger keys are used without a new request.
        cooldown_sec: The least time between two requests.
        stale_sec: Older keys verify nothing.
    """

    life_sec: float
    cooldown_sec: float
    stale_sec: float


class KeyClient(PyJWKClient):
    """PyJWT's client of one issuer; it reads by our guarded fetcher and caches nothing."""

    def __init__(self, url: str) -> None:
        super().__init__(url, cache_jwk_set=False)

    def fetch_data(self) -> Any:
        """Return the issuer's document; size and time are bounded, no redirect is followed.

        The issuer may be in a private network: the operator configures its address.
        """
        policy = FetchPolicy(
            own=frozenset({web_origin_of(self.uri)}),
            own_only=True,
            connect_timeout_sec=FETCH_TIMEOUT_SEC,
            read_timeout_sec=FETCH_TIMEOUT_SEC,
            total_timeout_sec=FETCH_TIMEOUT_SEC,
            max_redirects=0,
        )
        with GuardedFetcher(policy) as fetcher:
            return json.loads(fetcher.get(self.uri, max_bytes=MAX_BYTES).body)

    def read_keys(self, algorithm: str) -> dict[str, PyJWK]:
        """Request the signature keys of an algorithm, by their ids; a key needs an id.

        Raises:
            Exception: One of ``NO_KEYS``.
        """
        return {
            key.key_id: key
            for key in self.get_signing_keys()
            if isinstance(key.key_id, str) and key.algorithm_name == algorithm
        }


@dataclass(frozen=True)
class _Known:
    keys: Mapping[str, PyJWK]
    fetched_at: float


class KeySet:
    """The keys of one issuer for one algorithm; safe for any number of threads."""

    def __init__(
        self,
        client: KeyClient,
        algorithm: str,
        patience: Patience,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._algorithm = algorithm
        self._patience = patience
        self._clock = clock
        self._known = _Known({}, float("-inf"))
        self._requested_at = float("-inf")
        self._answered = False
        self._requesting = Lock()

    def key(self, kid: str) -> PyJWK | None:
        """Return the key of this id, or None if the issuer publishes none for our algorithm.

        Raises:
            KeysUnavailable: The issuer does not answer, and no fresh enough key is known.
        """
        known = self._known
        if kid in known.keys and self._age(known) < self._patience.life_sec:
            return known.keys[kid]
        if kid in known.keys and self._age(known) < self._patience.stale_sec:
            # One caller requests the keys; the others do not wait for the answer.
            self._refresh(wait=False)
        else:
            self._refresh(wait=True)
        return self._look_up(kid)

    def _look_up(self, kid: str) -> PyJWK | None:
        known = self._known
        if self._age(known) >= self._patience.stale_sec:
            raise KeysUnavailable
        if kid not in known.keys and not self._answered:
            raise KeysUnavailable
        return known.keys.get(kid)

    def _refresh(self, *, wait: bool) -> None:
        """Request the keys, unless a request is under way or within the cool-down."""
        # The lock has a timeout of its own: resolving the issuer's name may exceed the fetch's.
        timeout_sec = FETCH_TIMEOUT_SEC if wait else 0
        if self._is_cooling() or not self._requesting.acquire(timeout=timeout_sec):
            return
        try:
            if not self._is_cooling():  # the thread that held the lock may have requested them
                self._request()
        finally:
            self._requesting.release()

    def _request(self) -> None:
        try:
            self._known = _Known(self._client.read_keys(self._algorithm), self._clock())
            self._answered = True
        except NO_KEYS as error:
            # The class alone: the body may contain anything.
            log.warning("jwks_unavailable", error=type(error).__name__)
            self._answered = False
        finally:
            self._requested_at = self._clock()

    def _is_cooling(self) -> bool:
        return self._clock() - self._requested_at < self._patience.cooldown_sec

    def _age(self, known: _Known) -> float:
        return self._clock() - known.fetched_at
