"""Bodies of requests that break off or break HTTP's rules, which is the client's error."""

from collections.abc import Callable
from typing import Any

from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]

from pipeline.net.paced_socket import ClientTooSlow

_BROKEN = (OSError, ValueError, ParseException)
"""Errors of a server's reader: the connection ended or fell silent, or a chunk is malformed."""


class CheckedInput:
    """Input of a request that raises an error of the caller's choice for every broken body.

    A server parses a chunked body while the application reads it. Its errors look like those of a
    disk or of our own code, and would be answered as such.
    """

    def __init__(
        self,
        stream: Any,
        make_error: Callable[[], Exception],
        make_too_slow: Callable[[], Exception],
    ) -> None:
        self._stream = stream
        self._make_error = make_error
        self._make_too_slow = make_too_slow

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, or all."""
        return self._checked(self._stream.read, size)

    def readline(self, size: int = -1) -> bytes:
        """Read up to the end of a line."""
        return self._checked(self._stream.readline, size)

    def _checked(self, read: Callable[[int], bytes], size: int) -> bytes:
        try:
            return read(size)
        except ClientTooSlow as error:
            raise self._make_too_slow() from error
        except _BROKEN as error:
            raise self._make_error() from error
