"""Documents that the verification of callbacks needs, such as certificates.

They are fetched through the guard, from the hosts that the account trusts, and kept for an hour. An
unauthenticated caller can name documents, so failures are kept too, and the number of documents is
bounded.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from pipeline.domain.values import CallbackEnvelope
from pipeline.net.fetch import FetchCode, FetchPolicy, FetchRefused, GuardedFetcher
from pipeline.providers.base import Provider

FRESH_SEC = 3600.0
FAILED_SEC = 60.0
"""Time in which a document that could not be fetched is not fetched again."""
MAX_DOCUMENTS = 16
"""Most documents at a time, failures included. A vendor has one or two certificates in use."""
MAX_BYTES = 64 * 1024
TIMEOUT_SEC = 5.0

Fetch = Callable[[str, Collection[str]], bytes]
"""Fetches the document at an address, from one of some hosts."""


@dataclass(frozen=True)
class _Kept:
    body: bytes | FetchRefused
    until: float


class CallbackDocuments:
    """The documents of a process. Threads may share them; one fetches at a time.

    Args:
        fetch: Replaces the guard in tests.
    """

    def __init__(
        self, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch or fetch_document
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[str, _Kept] = {}

    def add_to(self, envelope: CallbackEnvelope, provider: Provider) -> CallbackEnvelope:
        """Return a callback with the documents that its verification needs.

        Raises:
            FetchRefused: A document cannot be had.
        """
        documents = self._all(provider.documents_for(envelope), provider.trust.document_hosts)
        return replace(envelope, documents=documents) if documents else envelope

    def _all(self, urls: Sequence[str], hosts: frozenset[str]) -> Mapping[str, bytes]:
        if not urls:
            return {}
        with self._lock:
            return {url: self._one(url, hosts) for url in urls}

    def _one(self, url: str, hosts: frozenset[str]) -> bytes:
        now = self._clock()
        self._kept = {name: kept for name, kept in self._kept.items() if kept.until > now}
        if url not in self._kept:
            if len(self._kept) >= MAX_DOCUMENTS:
                raise FetchRefused(FetchCode.SOURCE_TIMEOUT, "Too many documents.", transient=True)
            self._kept[url] = self._fetched(url, hosts, now)
        body = self._kept[url].body
        if isinstance(body, FetchRefused):
            raise body
        return body

    def _fetched(self, url: str, hosts: frozenset[str], now: float) -> _Kept:
        try:
            return _Kept(self._fetch(url, hosts), now + FRESH_SEC)
        except FetchRefused as error:
            return _Kept(error, now + FAILED_SEC)


def fetch_document(url: str, hosts: Collection[str]) -> bytes:
    """Fetch a document by https, from one of some hosts.

    Raises:
        FetchRefused: The address is refused, or gives no document.
    """
    policy = FetchPolicy(
        hosts=frozenset(hosts),
        ports=frozenset({443}),
        answer_timeout_sec=TIMEOUT_SEC,
        total_timeout_sec=TIMEOUT_SEC,
    )
    with GuardedFetcher(policy) as fetcher:
        return fetcher.get(url, max_bytes=MAX_BYTES).body
