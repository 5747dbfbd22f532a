"""The published keys of one issuer, kept in the process (RFC 7517).

What a stranger sends decides nothing about how often the issuer is asked: between two requests
lies the cool-down, whoever waits shares the answer of the one that is under way, and keys that are
known go on verifying while a new answer is awaited or does not come.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from threading import Lock

import structlog
from jwt import PyJWK, PyJWKSet, PyJWTError

from pipeline.net.fetch import FetchPolicy, FetchRefused, GuardedFetcher

log = structlog.get_logger()

MAX_BYTES = 64 * 1024
"""A set of twenty RSA keys with their certificates has about 50 KiB."""

FETCH_TIMEOUT_SEC = 3.0
"""The longest that a caller waits for the keys: connection, redirects and body together."""

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""Whom we trust is the operator's word, not a stranger's: an issuer may be on a private network."""

NO_KEYS = (
    FetchRefused,
    PyJWTError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""How a request for keys ends that brings none: no answer, or one of any other shape."""

Fetch = Callable[[], bytes]


class KeysUnavailable(Exception):
    """The issuer does not answer, and what is known of its keys is too old or does not suffice."""


@dataclass(frozen=True)
class Patience:
    """How often to ask, and for how long to do without an answer; in seconds.

    Attributes:
        life_sec: Keys younger than this are not asked for anew.
        cooldown_sec: The least time between two requests.
        stale_sec: Keys older than this verify nothing.
    """

    life_sec: float
    cooldown_sec: float
    stale_sec: float


@dataclass(frozen=True)
class _Known:
    keys: Mapping[str, PyJWK]
    fetched_at: float


class KeySet:
    """The keys of one issuer, for one algorithm. For any number of threads."""

    def __init__(
        self,
        fetch: Fetch,
        algorithm: str,
        patience: Patience,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._algorithm = algorithm
        self._patience = patience
        self._clock = clock
        self._known = _Known({}, float("-inf"))
        self._asked_at = float("-inf")
        self._answered = False
        self._asking = Lock()

    def key(self, kid: str) -> PyJWK | None:
        """The key of this id; None when the issuer publishes none for our algorithm.

        Raises:
            KeysUnavailable: that cannot be said now.
        """
        known = self._known
        if kid in known.keys and self._age(known) < self._patience.life_sec:
            return known.keys[kid]
        if kid in known.keys and self._age(known) < self._patience.stale_sec:
            # One caller asks; the others need not wait for the answer.
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
        """Ask for the keys, unless that was done within the cool-down or is being done."""
        # Bounded of its own: what resolves the issuer's name may take longer than a fetch.
        timeout_sec = FETCH_TIMEOUT_SEC if wait else 0
        if self._is_cooling() or not self._asking.acquire(timeout=timeout_sec):
            return
        try:
            if not self._is_cooling():  # whoever held the lock may have asked
                self._ask()
        finally:
            self._asking.release()

    def _ask(self) -> None:
        try:
            self._known = _Known(read_keys(self._fetch(), self._algorithm), self._clock())
            self._answered = True
        except NO_KEYS as error:
            # The class alone: a body that is no key set may hold anything.
            log.warning("jwks_unavailable", error=type(error).__name__)
            self._answered = False
        finally:
            self._asked_at = self._clock()

    def _is_cooling(self) -> bool:
        return self._clock() - self._asked_at < self._patience.cooldown_sec

    def _age(self, known: _Known) -> float:
        return self._clock() - known.fetched_at


def fetching(url: str) -> Fetch:
    """Ask this address, within bounds of size and time, following no redirect."""
    policy = FetchPolicy(
        allow=EVERYWHERE,
        https_only=url.startswith("https:"),
        connect_timeout_sec=FETCH_TIMEOUT_SEC,
        read_timeout_sec=FETCH_TIMEOUT_SEC,
        total_timeout_sec=FETCH_TIMEOUT_SEC,
        max_redirects=0,
    )

    def fetch() -> bytes:
        with GuardedFetcher(policy) as fetcher:
            return fetcher.get(url, max_bytes=MAX_BYTES).body

    return fetch


def read_keys(body: bytes, algorithm: str) -> dict[str, PyJWK]:
    """The keys of a key set by their ids: those for signatures, of this algorithm.

    One without an id is left out: nothing could name it.

    Raises:
        Exception: one of ``NO_KEYS``: it is no key set.
    """
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("not a key set")  # noqa: TRY004 - it is the content that is wrong
    return {
        key.key_id: key
        for key in PyJWKSet.from_dict(document)
        if isinstance(key.key_id, str)
        and key.algorithm_name == algorithm
        and key.public_key_use in (None, "sig")
    }
