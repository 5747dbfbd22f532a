"""The ways a fetch fails, in our words."""

import ssl
from enum import StrEnum

import requests
from urllib3.exceptions import ReadTimeoutError


class FetchCode(StrEnum):
    """What went wrong with a fetch."""

    URL_REFUSED = "url_refused"  # scheme, user info, port, or an address that is not public
    SOURCE_UNREACHABLE = "source_unreachable"  # name, connection, or the server's own refusal
    SOURCE_TOO_LARGE = "source_too_large"
    SOURCE_CHANGED = "source_changed"  # not the bytes it was when it was measured
    SOURCE_TIMEOUT = "source_timeout"


class FetchRefused(Exception):
    """A fetch that was not allowed or did not succeed.

    Attributes:
        code: one of `FetchCode`.
        detail: one sentence for people, without the URL, which may be signed.
        transient: whether the same fetch may succeed later.
        status: the HTTP status, when the server's answer was the reason.
    """

    def __init__(
        self,
        code: FetchCode,
        detail: str,
        *,
        transient: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.transient = transient
        self.status = status


def url_refused(detail: str) -> FetchRefused:
    """The URL breaks a rule."""
    return FetchRefused(FetchCode.URL_REFUSED, detail)


def unreachable(
    detail: str,
    *,
    transient: bool = False,
    status: int | None = None,
) -> FetchRefused:
    """There was no usable answer."""
    return FetchRefused(FetchCode.SOURCE_UNREACHABLE, detail, transient=transient, status=status)


def too_large(max_bytes: int) -> FetchRefused:
    """There are more bytes than the caller takes."""
    return FetchRefused(FetchCode.SOURCE_TOO_LARGE, f"The file has more than {max_bytes} bytes.")


def changed(detail: str) -> FetchRefused:
    """The file is not the version that was asked for."""
    return FetchRefused(FetchCode.SOURCE_CHANGED, detail)


def timed_out(detail: str = "The server did not answer in time.") -> FetchRefused:
    """A bound in time was reached."""
    return FetchRefused(FetchCode.SOURCE_TIMEOUT, detail, transient=True)


def refusal_of(error: Exception) -> FetchRefused:
    """What the HTTP libraries raise, in our words."""
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return timed_out()
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return url_refused("The URL is malformed.")
    if _is_about_certificate(error):
        return unreachable("The server's certificate is not valid.")
    return unreachable("The connection to the server broke.", transient=True)


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
