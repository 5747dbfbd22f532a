"""Range requests (RFC 9110, 14): the bytes of an object that an answer contains."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_date, parse_range_header

from pipeline.storage.base import Stat


@dataclass(frozen=True)
class ByteRange:
    """The bytes from ``start`` up to, not including, ``stop``."""

    start: int
    stop: int
    size: int
    is_whole: bool

    @property
    def status(self) -> HTTPStatus:
        """206 for a requested part, else 200."""
        return HTTPStatus.OK if self.is_whole else HTTPStatus.PARTIAL_CONTENT

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of an answer that contains these bytes."""
        headers = {"Accept-Ranges": "bytes", "Content-Length": str(self.stop - self.start)}
        if not self.is_whole:
            headers["Content-Range"] = f"bytes {self.start}-{self.stop - 1}/{self.size}"
        return headers


def choose_range(requested: str | None, if_range: str | None, stored: Stat) -> ByteRange:
    """Return the bytes of ``stored`` that a ``Range`` header requests.

    The answer is the whole object if the header is malformed, requests several ranges, or was meant
    for another version of the object (``If-Range``). RFC 9110 allows a server to ignore all three.

    Raises:
        RequestedRangeNotSatisfiable: The object has no byte in the range.
    """
    size = stored.size_bytes
    parsed = parse_range_header(requested)
    is_single = parsed is not None and parsed.units == "bytes" and len(parsed.ranges) == 1
    if parsed is None or not is_single or (if_range and not _is_current(if_range, stored)):
        return ByteRange(0, size, size, is_whole=True)
    # Not `Range.range_for_length`: it refuses a suffix that is longer than the object, which
    # requests the whole object (RFC 9110, 14.1.2).
    first, end = parsed.ranges[0]
    start = max(size + first, 0) if first < 0 else first
    stop = size if end is None else min(end, size)
    if start >= stop:
        raise RequestedRangeNotSatisfiable(size)
    return ByteRange(start, stop, size, is_whole=False)


def _is_current(if_range: str, stored: Stat) -> bool:
    # Strong comparison (RFC 9110, 13.1.5): a weak tag never matches. Werkzeug's
    # `parse_if_range_header` drops the weakness.
    if if_range == stored.etag:
        return True
    date = parse_date(if_range)
    return date is not None and date == stored.modified_at.replace(microsecond=0)
