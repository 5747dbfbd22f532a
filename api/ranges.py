"""Range requests (RFC 9110, 14): which part of an object an answer holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from werkzeug.http import parse_if_range_header, parse_range_header

from api.problems import Problem
from pipeline.storage.base import Stat


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
    whole = Part(0, size, size, is_whole=True)
    ranges = parse_range_header(asked)
    if ranges is None or ranges.units != "bytes" or len(ranges.ranges) != 1:
        return whole
    if if_range and not _is_current(if_range, stored):
        return whole
    found = ranges.range_for_length(size)
    if found is None or found[0] >= size:
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "range_not_satisfiable",
            f"The object has {size} bytes.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return Part(found[0], found[1], size, is_whole=False)


def _is_current(if_range: str, stored: Stat) -> bool:
    condition = parse_if_range_header(if_range)
    if condition.date is not None:
        # To the second, as the Last-Modified we sent.
        return condition.date == stored.modified_at.replace(microsecond=0)
    return f'"{condition.etag}"' == stored.etag
