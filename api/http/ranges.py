"""Range requests (RFC 9110, 14): which part of an object an answer holds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from werkzeug.http import parse_date

from api.http.problems import Problem
from pipeline.storage.base import Stat

SINGLE = re.compile(
    r"bytes=(?=.*\d)(?P<first>\d{0,18})-(?P<last>\d{0,18})", re.ASCII | re.IGNORECASE
)
"""One range of bytes; 18 digits are more than any object has and less than costs time."""


@dataclass(frozen=True)
class Part:
    """The bytes from ``start`` up to, not including, ``stop``."""

    start: int
    stop: int
    size: int
    is_whole: bool

    @property
    def status(self) -> HTTPStatus:
        """206 for a part that was asked for, else 200."""
        return HTTPStatus.OK if self.is_whole else HTTPStatus.PARTIAL_CONTENT

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer says of the part."""
        described = {"Accept-Ranges": "bytes", "Content-Length": str(self.stop - self.start)}
        if not self.is_whole:
            described["Content-Range"] = f"bytes {self.start}-{self.stop - 1}/{self.size}"
        return described


def choose_part(asked: str | None, if_range: str | None, stored: Stat) -> Part:
    """The part of ``stored`` that a ``Range`` header asks for.

    A header that is malformed, asks for several ranges, or was meant for another version of the
    object (``If-Range``) is passed over, as RFC 9110 allows: the answer is the whole.

    Raises:
        Problem: 416 ``range_not_satisfiable``.
    """
    size = stored.size_bytes
    found = SINGLE.fullmatch(asked or "")
    if found is None or (if_range and not _is_current(if_range, stored)):
        return Part(0, size, size, is_whole=True)
    start, stop = _bounds(found["first"], found["last"], size)
    if start >= stop:
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "range_not_satisfiable",
            f"The object has {size} bytes.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return Part(start, stop, size, is_whole=False)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Where the part begins and ends; nothing is left between when it cannot be given."""
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size


def _is_current(if_range: str, stored: Stat) -> bool:
    # Strong comparison (RFC 9110, 13.1.5): a weak tag never matches.
    if if_range == stored.etag:
        return True
    date = parse_date(if_range)
    return date is not None and date == stored.modified_at.replace(microsecond=0)
