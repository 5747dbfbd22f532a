"""Fetching what a user's URL points at, without letting the URL decide where we go.

Only public (or expressly allowed) addresses are connected to, each redirect is held to the same
rules, every answer is bounded in time and size, and nothing of the environment (proxies, .netrc,
cookies) takes part.
"""

import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from pipeline.net.dialing import Dialer, GuardedAdapter
from pipeline.net.policy import FetchCode, FetchPolicy, FetchRefused, check_url

__all__ = [
    "FetchCode",
    "FetchPolicy",
    "FetchRefused",
    "Fetched",
    "GuardedFetcher",
    "Remote",
    "check_url",
]

_CHUNK_BYTES = 256 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING_REFUSALS = (408, 425, 429)  # timeout, too early, too many requests
_OK, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_SERVER_ERROR = 500
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")
_DIGITS = re.compile(r"[0-9]{1,18}")
_HEADERS = {
    "User-Agent": "khronika-video",
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # sizes and ranges are of the file itself
}


@dataclass(frozen=True)
class Remote:
    """A file at a URL, as its server describes it."""

    size_bytes: int | None  # None: the server does not say
    etag: str | None
    content_type: str | None  # what the server claims; never believed
    accepts_ranges: bool
    final_url: str  # after redirects


@dataclass(frozen=True)
class Fetched:
    """A small answer read whole; its status is 2xx."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes


class GuardedFetcher:
    """Fetches under one policy, keeping connections open between its calls.

    For one thread. Every method raises `FetchRefused`: `url_refused` (never transient),
    `source_unreachable` (transient for a broken connection, 5xx, 408, 425 and 429; not for an
    unknown name, a bad certificate or any other 4xx), `source_timeout` (transient), and what is
    named at the method.
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

    def size_of(self, url: str) -> Remote:
        """Describe a file, asking for its first byte: a URL signed for GET refuses HEAD."""
        with self._bounded(), self._answer(url, {"Range": "bytes=0-0"}) as (answer, final_url):
            if answer.status_code != _RANGE_NOT_SATISFIABLE:
                _check_status(answer)
            return _described(answer, final_url)

    def read(self, url: str, offset: int, length: int, *, etag: str | None = None) -> bytes:
        """Read part of a file; shorter than `length` only where the file ends.

        Args:
            url: the file.
            offset: of the first byte.
            length: bytes to read, at least 1.
            etag: the version the bytes must be of.

        Raises:
            FetchRefused: `source_changed` when the file has another ETag or no longer reaches to
                `offset`; `source_unreachable` when the server does not answer ranges.
        """
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        if etag is not None and not etag.startswith("W/"):  # RFC 9110 §13.1.5: strong ones only
            headers["If-Range"] = etag
        with self._bounded(), self._answer(url, headers) as (answer, _):
            _check_part(answer, offset, etag)
            return b"".join(self._body(answer, max_bytes=length))

    def download(
        self,
        url: str,
        path: Path,
        *,
        max_bytes: int,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Remote:
        """Write a whole file to a local path; a failure leaves no file there.

        Args:
            url: the file.
            path: replaced if it exists.
            max_bytes: the most it may have.
            on_bytes: told the number of bytes written so far, after each chunk; what it raises
                ends the download.

        Raises:
            FetchRefused: `source_too_large`, before the first byte where the server says so.
            OSError: the local file cannot be written.
        """
        try:
            with self._bounded(), self._answer(url, {}) as (answer, final_url):
                _check_status(answer)
                remote = _described(answer, final_url)
                self._write(answer, path, max_bytes, on_bytes or _ignore)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return remote

    def get(self, url: str, *, max_bytes: int) -> Fetched:
        """Read a small file whole, such as a playlist.

        Raises:
            FetchRefused: `source_too_large`.
        """
        with self._bounded(), self._answer(url, {}) as (answer, _):
            _check_status(answer)
            body = b"".join(self._body(answer, max_bytes=max_bytes))
            return Fetched(answer.status_code, answer.headers, body)

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Hold a call to its total time and give its failures our words."""
        self._dialer.cut_off.clear()
        timer = threading.Timer(self._policy.total_timeout_sec, self._dialer.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (requests.RequestException, HTTPError) as error:
            raise self._translated(error) from error
        finally:
            timer.cancel()

    @contextmanager
    def _answer(
        self,
        url: str,
        headers: Mapping[str, str],
    ) -> Iterator[tuple[requests.Response, str]]:
        """The first answer that is no redirect, its body unread, and the URL it came from."""
        for _ in range(self._policy.max_redirects + 1):
            answer = self._ask(url, headers)
            try:
                location = answer.headers.get("Location")
                if answer.status_code not in _REDIRECTS or not location:
                    yield answer, url
                    return
            finally:
                answer.close()
            url = urljoin(url, location)
        raise _unreachable("The server redirects too often.")

    def _ask(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        check_url(url, self._policy)
        request = requests.Request("GET", url, headers={**_HEADERS, **headers}).prepare()
        timeout = (self._policy.connect_timeout_sec, self._policy.read_timeout_sec)
        # The adapter itself and no Session: a Session reads the whole body of a redirect.
        return self._adapter.send(request, stream=True, timeout=timeout)

    def _body(self, answer: requests.Response, *, max_bytes: int) -> Iterator[bytes]:
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _unreachable("The server sends the file compressed although asked not to.")
        if (_number(answer.headers.get("Content-Length")) or 0) > max_bytes:
            raise _too_large(max_bytes)
        total = 0
        for chunk in answer.raw.stream(_CHUNK_BYTES, decode_content=False):
            total += len(chunk)
            if total > max_bytes:
                raise _too_large(max_bytes)
            yield chunk
        if self._dialer.cut_off.is_set():  # a body without a length seems to end when it is cut
            raise _timed_out()

    def _write(
        self,
        answer: requests.Response,
        path: Path,
        max_bytes: int,
        on_bytes: Callable[[int], None],
    ) -> None:
        written = 0
        with path.open("wb") as file:
            for chunk in self._body(answer, max_bytes=max_bytes):
                file.write(chunk)
                written += len(chunk)
                on_bytes(written)

    def _translated(self, error: Exception) -> FetchRefused:
        if self._dialer.cut_off.is_set():
            return _timed_out()
        if isinstance(error, requests.Timeout | ReadTimeoutError):
            return _timed_out()
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return FetchRefused(FetchCode.URL_REFUSED, "The URL is malformed.")
        if _is_about_certificate(error):
            return _unreachable("The server's certificate is not valid.")
        return _unreachable("The connection to the server broke.", transient=True)


def _check_status(answer: requests.Response) -> None:
    status = answer.status_code
    if status in (_OK, _PARTIAL):
        return
    passing = status >= _SERVER_ERROR or status in _PASSING_REFUSALS
    raise _unreachable(f"The server answered {status}.", transient=passing, status=status)


def _check_part(answer: requests.Response, offset: int, etag: str | None) -> None:
    """Make sure that an answer is the part of the version that was asked for."""
    if answer.status_code == _RANGE_NOT_SATISFIABLE:
        raise _changed("The file has become shorter.")
    _check_status(answer)
    if etag is not None and answer.headers.get("ETag") != etag:
        raise _changed("The file is another one now.")
    if answer.status_code != _PARTIAL:
        raise _unreachable("The server does not answer ranges.")
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None or found[1] is None or int(found[1]) != offset:
        raise _unreachable("The server answered another range than was asked for.")


def _described(answer: requests.Response, final_url: str) -> Remote:
    headers = answer.headers
    size: str | None = headers.get("Content-Length")
    in_parts = answer.status_code in (_PARTIAL, _RANGE_NOT_SATISFIABLE)
    if in_parts:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        size = found[3] if found else None
    return Remote(
        size_bytes=_number(size),
        etag=headers.get("ETag"),
        content_type=headers.get("Content-Type"),
        accepts_ranges=in_parts,
        final_url=final_url,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _DIGITS.fullmatch(text) else None


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _ignore(_written: int) -> None:
    pass


def _unreachable(
    detail: str,
    *,
    transient: bool = False,
    status: int | None = None,
) -> FetchRefused:
    return FetchRefused(FetchCode.SOURCE_UNREACHABLE, detail, transient=transient, status=status)


def _too_large(max_bytes: int) -> FetchRefused:
    return FetchRefused(FetchCode.SOURCE_TOO_LARGE, f"The file has more than {max_bytes} bytes.")


def _changed(detail: str) -> FetchRefused:
    return FetchRefused(FetchCode.SOURCE_CHANGED, detail)


def _timed_out() -> FetchRefused:
    return FetchRefused(
        FetchCode.SOURCE_TIMEOUT,
        "The server did not answer in time.",
        transient=True,
    )
