"""Checks of a server's answer before its body is read, and the reading of the body."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import requests

from pipeline.net.fetch_errors import changed, unreachable
from pipeline.net.retry_after import retry_after_of

RANGE_NOT_SATISFIABLE = 416
_PIECE_BYTES = 256 * 1024
_PASSING_REFUSALS = (408, 425, 429)  # timeout, too early, too many requests
_OK, _PARTIAL = 200, 206
_SERVER_ERROR = 500
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")
_DIGITS = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Remote:
    """A file at a URL, as its server describes it."""

    size_bytes: int | None  # None: the server does not say
    etag: str | None
    content_type: str | None  # claimed by the server; not trusted
    accepts_ranges: bool
    final_url: str  # after redirects


@dataclass(frozen=True)
class Version:
    """The version of a file that was measured; None for a fact that its server does not say."""

    size_bytes: int | None
    etag: str | None


class VersionedFile(Protocol):
    """A file as its server or its storage describes it; None for an unknown fact."""

    @property
    def size_bytes(self) -> int | None:
        """Its size."""
        ...

    @property
    def etag(self) -> str | None:
        """Its ETag."""
        ...


def check_version(found: VersionedFile, version: Version | None) -> None:
    """Raise `FetchRefused` (`source_changed`) if a file is another version than was measured."""
    if version is None:
        return
    if version.etag is not None and found.etag != version.etag:
        raise changed("The file has changed: its ETag is another one.")
    if version.size_bytes is not None and found.size_bytes not in (None, version.size_bytes):
        raise changed("The file has changed: its size is another one.")


def check_length(written_bytes: int, version: Version | None) -> None:
    """Raise `FetchRefused` if a body without a length had another one than was measured.

    A shorter body may be a broken connection, which the next measurement decides.
    """
    if version is None or version.size_bytes is None or written_bytes == version.size_bytes:
        return
    if written_bytes > version.size_bytes:
        raise changed("The file has changed: its size is another one.")
    raise unreachable("The connection to the server broke.", transient=True)


def check_status(answer: requests.Response) -> None:
    """Raise `FetchRefused` (`source_unreachable`) unless the status is 200 or 206."""
    status = answer.status_code
    if status in (_OK, _PARTIAL):
        return
    passing = status >= _SERVER_ERROR or status in _PASSING_REFUSALS
    raise unreachable(
        f"The server answered {status}.",
        transient=passing,
        status=status,
        retry_after_sec=retry_after_of(answer.headers.get("Retry-After", "")) if passing else None,
    )


def check_part(answer: requests.Response, offset: int, version: Version | None) -> None:
    """Raise `FetchRefused` unless the requested part of the requested version follows."""
    if answer.status_code == RANGE_NOT_SATISFIABLE:
        raise changed("The file has become shorter.")
    check_status(answer)
    check_version(remote_of(answer, ""), version)
    if answer.status_code != _PARTIAL:
        raise unreachable("The server does not answer ranges.")
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None or found[1] is None or int(found[1]) != offset:
        raise unreachable("The server answered another range than was asked for.")


def remote_of(answer: requests.Response, final_url: str) -> Remote:
    """Describe the whole file by the headers of an answer."""
    headers = answer.headers
    size: str | None = headers.get("Content-Length")
    in_parts = answer.status_code in (_PARTIAL, RANGE_NOT_SATISFIABLE)
    if in_parts:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        size = found[3] if found else None
    return Remote(
        size_bytes=header_size(size),
        etag=headers.get("ETag"),
        content_type=headers.get("Content-Type"),
        accepts_ranges=in_parts,
        final_url=final_url,
    )


def is_resumable(answer: requests.Response) -> bool:
    """Return true if a server can send the rest of this body later, and prove that it is the rest.

    Only a strong ETag proves it (RFC 9110 §13.1.5).
    """
    etag = answer.headers.get("ETag", "W/")
    return answer.headers.get("Accept-Ranges") == "bytes" and not etag.startswith("W/")


def body_pieces(answer: requests.Response) -> Iterator[bytes]:
    """Yield the body, undecoded, as soon as bytes arrive; the caller can measure a slow sender."""
    while piece := answer.raw.read1(_PIECE_BYTES, decode_content=False):
        yield piece


def header_size(text: str | None) -> int | None:
    """Read a size in a header; None without one, or if it is no number of at most 18 digits."""
    return int(text) if text is not None and _DIGITS.fullmatch(text) else None
