"""Guarded fetching of URLs that users give.

Only public addresses and expressly allowed origins are connected to. Redirects obey the same
rules. Each answer is bounded in time and size. Proxies and .netrc are not used; a cookie lives for
the redirects of one request, because some servers set one and ask for it at the next address.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import requests
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import HTTPError

from pipeline.net.arrivals import Arrival, ignore, noted
from pipeline.net.dialing import Dialer, GuardedAdapter
from pipeline.net.fetch_errors import (
    FetchCode,
    FetchRefused,
    refusal_of,
    timed_out,
    too_large,
    unreachable,
)
from pipeline.net.fetch_policy import FetchPolicy, check_url
from pipeline.net.origins import WebOrigin
from pipeline.net.redirects import STATUSES, redirect_target
from pipeline.net.responses import (
    RANGE_NOT_SATISFIABLE,
    Remote,
    Version,
    body_pieces,
    check_length,
    check_part,
    check_status,
    check_version,
    header_size,
    is_resumable,
    remote_of,
)

__all__ = [
    "FetchCode",
    "FetchPolicy",
    "FetchRefused",
    "Fetched",
    "GuardedFetcher",
    "Remote",
    "Version",
    "check_url",
]

_BROKEN = (FetchRefused, requests.RequestException, HTTPError)
_RESUME_PAUSES_SEC = (0.5, 1, 2, 4, 8)
_HEADERS = {
    "User-Agent": "khronika-video",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # sizes and ranges are of the file itself
}


@dataclass(frozen=True)
class Fetched:
    """A small answer read whole; its status is 2xx."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes


class GuardedFetcher:
    """Fetcher under one policy for one thread; it keeps connections open between calls.

    Every method raises `FetchRefused`: `url_refused` (never transient), `source_unreachable`
    (transient for a broken connection, an expired certificate, 5xx, 408, 425 and 429; not for an
    unknown name, a certificate of another name or any other 4xx), `source_timeout` (transient), and
    the codes named at the method.
    """

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._dialer = Dialer(policy)
        self._adapter = GuardedAdapter(self._dialer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._adapter.close()

    def check(self, url: str) -> None:
        """Refuse a URL that this fetcher would not open; no connection is made."""
        check_url(url, self._policy)

    def size_of(self, url: str) -> Remote:
        """Describe a file by its first byte, because a URL signed for GET refuses HEAD."""
        with self._bounded(), self._answer(url, {"Range": "bytes=0-0"}) as (answer, final_url):
            if answer.status_code != RANGE_NOT_SATISFIABLE:
                check_status(answer)
            return remote_of(answer, final_url)

    def read(
        self,
        url: str,
        offset: int,
        length: int,
        version: Version | None = None,
        *,
        on_bytes: Callable[[int], None] | None = None,
    ) -> bytes:
        """Read part of a file; the result is shorter than `length` only at the end of the file.

        Args:
            url: URL of the file.
            offset: offset of the first byte.
            length: bytes to read, at least 1.
            version: version to read; None for any.
            on_bytes: called with the size of each piece that arrives; an exception of it ends the
                call.

        Raises:
            FetchRefused: `source_changed` if the file is another version or now ends before
                `offset`; `source_unreachable` if the server does not answer ranges.
        """
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        etag = version.etag if version else None
        if etag is not None and not etag.startswith("W/"):  # RFC 9110 §13.1.5: strong ETags only
            headers["If-Range"] = etag
        with self._bounded_for(length), self._answer(url, headers) as (answer, _):
            check_part(answer, offset, version)
            return b"".join(noted(self._body(answer, max_bytes=length), on_bytes))

    def download(
        self,
        url: str,
        path: Path,
        *,
        max_bytes: int,
        version: Version | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Remote:
        """Write a whole file to a local path; a failure leaves no file there.

        A connection that breaks is resumed where it broke, if the server answers ranges and its
        ETag proves that the rest is of the same file.

        Args:
            url: URL of the file.
            path: file to write; replaced if it exists.
            max_bytes: largest accepted size.
            version: version to write; None for any.
            on_bytes: called with the number of bytes written so far after each piece; an exception
                of it ends the download.

        Raises:
            FetchRefused: `source_too_large` and `source_changed`, before the first byte if the
                server names size or ETag.
            OSError: the local file cannot be written.
        """
        try:
            with self._bounded_for(max_bytes), path.open("wb") as file:
                arrival = Arrival(file, max_bytes, on_bytes or ignore)
                remote = self._from_start(url, arrival, version)
                check_length(arrival.written_bytes, version)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return remote

    @contextmanager
    def arriving(
        self,
        url: str,
        *,
        max_bytes: int,
        version: Version | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Give the content of a file from its start, as it arrives; the block need not read all.

        Args:
            url: URL of the file.
            max_bytes: largest accepted size.
            version: version to give; None for any.
            on_bytes: called with the size of each piece that arrives.

        Raises:
            FetchRefused: as `download` does.
        """
        with self._bounded_for(max_bytes), self._answer(url, {}) as (answer, final_url):
            check_status(answer)
            check_version(remote_of(answer, final_url), version)
            yield noted(self._body(answer, max_bytes=max_bytes), on_bytes)

    def cut_when(self, is_wanted: Callable[[], bool]) -> AbstractContextManager[None]:
        """Cut each call of the block as soon as this is wanted, even if no byte arrives."""
        return self._dialer.cut_when(is_wanted)

    def get(self, url: str, *, max_bytes: int) -> Fetched:
        """Read a small file whole, such as a playlist.

        Raises:
            FetchRefused: `source_too_large`.
        """
        with self._bounded(), self._answer(url, {}) as (answer, _):
            check_status(answer)
            body = b"".join(self._body(answer, max_bytes=max_bytes))
            return Fetched(answer.status_code, answer.headers, body)

    def _bounded(self) -> AbstractContextManager[None]:
        return self._cut_after(self._policy.total_timeout_sec)

    def _bounded_for(self, size_bytes: int) -> AbstractContextManager[None]:
        return self._cut_after(self._policy.longest_sec(size_bytes))

    @contextmanager
    def _cut_after(self, seconds: float) -> Iterator[None]:
        """Limit a call to its total time and translate its failures."""
        self._dialer.cut_off.clear()
        try:
            with self._dialer.cut_after(seconds):
                yield
        except (requests.RequestException, HTTPError) as error:
            raise self._translated(error) from error

    @contextmanager
    def _answer(
        self,
        url: str,
        headers: Mapping[str, str],
    ) -> Iterator[tuple[requests.Response, str]]:
        """Give the first answer that is no redirect, its body unread, and its URL."""
        with self._dialer.cut_after(self._policy.answer_timeout_sec):
            answer, final_url = self._followed(url, headers)
        try:
            yield answer, final_url
        finally:
            answer.close()

    def _followed(self, url: str, headers: Mapping[str, str]) -> tuple[requests.Response, str]:
        passed: list[WebOrigin] = []
        cookies = RequestsCookieJar()
        for _ in range(self._policy.max_redirects + 1):
            passed.append(check_url(url, self._policy, passed))
            answer = self._ask(url, headers, cookies)
            location = answer.headers.get("Location")
            if answer.status_code not in STATUSES or not location:
                return answer, url
            answer.close()
            cookies.update(answer.cookies)
            url = redirect_target(url, location)
        raise unreachable("The server redirects too often.")

    def _ask(
        self, url: str, headers: Mapping[str, str], cookies: RequestsCookieJar
    ) -> requests.Response:
        asked = requests.Request("GET", url, headers={**_HEADERS, **headers}, cookies=cookies)
        request = asked.prepare()
        timeout = (self._policy.connect_timeout_sec, self._policy.read_timeout_sec)
        # A requests.Session would read the whole body of a redirect; the adapter does not.
        return self._adapter.send(request, stream=True, timeout=timeout)

    def _body(self, answer: requests.Response, *, max_bytes: int) -> Iterator[bytes]:
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise unreachable("The server sends the file compressed although asked not to.")
        if (header_size(answer.headers.get("Content-Length")) or 0) > max_bytes:
            raise too_large(max_bytes)
        total, began_at = 0, time.monotonic()
        for piece in body_pieces(answer):
            self._check_time()  # bytes that arrived before the cut are still readable after it
            total += len(piece)
            if total > max_bytes:
                raise too_large(max_bytes)
            self._check_pace(total, time.monotonic() - began_at)
            yield piece
        self._check_time()  # a cut looks like the end of a body without a length

    def _check_time(self) -> None:
        if self._dialer.cut_off.is_set():
            raise timed_out()

    def _check_pace(self, arrived_bytes: int, took_sec: float) -> None:
        policy = self._policy
        if took_sec > policy.grace_sec and arrived_bytes * 8 < policy.min_bps * took_sec:
            raise timed_out("The server sends too slowly.")

    def _from_start(self, url: str, arrival: Arrival, version: Version | None) -> Remote:
        with self._answer(url, {}) as (answer, final_url):
            check_status(answer)
            remote = remote_of(answer, final_url)
            check_version(remote, version)
            try:
                arrival.take(self._body(answer, max_bytes=arrival.max_bytes))
            except _BROKEN as error:
                self._raise_unless_passing(error)
                if not is_resumable(answer):
                    raise
                self._resume(url, arrival, Version(remote.size_bytes, remote.etag), error)
        return remote

    def _resume(self, url: str, arrival: Arrival, version: Version, error: Exception) -> None:
        """Ask for the rest until it is there, and give up after some tries without a byte."""
        pauses = list(_RESUME_PAUSES_SEC)
        while pauses:
            if self._dialer.cut_off.wait(pauses.pop(0)):
                break
            before = arrival.written_bytes
            try:
                self._append_rest(url, arrival, version)
            except _BROKEN as again:
                self._raise_unless_passing(again)
                error = again
            else:
                return
            if arrival.written_bytes > before:
                pauses = list(_RESUME_PAUSES_SEC)
        raise error

    def _append_rest(self, url: str, arrival: Arrival, version: Version) -> None:
        offset = arrival.written_bytes
        if offset == version.size_bytes:
            return
        headers = {"Range": f"bytes={offset}-", "If-Range": str(version.etag)}
        with self._answer(url, headers) as (answer, _):
            check_part(answer, offset, version)
            arrival.take(self._body(answer, max_bytes=arrival.max_bytes - offset))

    def _raise_unless_passing(self, error: Exception) -> None:
        """Raise an error again that another try does not change."""
        refusal = error if isinstance(error, FetchRefused) else self._translated(error)
        if not refusal.transient or self._dialer.cut_off.is_set():
            raise error

    def _translated(self, error: Exception) -> FetchRefused:
        return timed_out() if self._dialer.cut_off.is_set() else refusal_of(error)
