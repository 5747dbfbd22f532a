"""Errors of a fetch."""

import ssl
from enum import StrEnum

import requests
from urllib3.exceptions import ReadTimeoutError

_LASTING_FAULTS = frozenset({18, 23, 62, 64})
"""OpenSSL's ``X509_V_ERR_`` numbers of a certificate that is self-signed, revoked, or of another
name or address: the server's own fault. Any other, such as an expired one or an unknown issuer, is
mended by a renewal, or is seen by a machine of ours whose clock or list of authorities is wrong."""


class FetchCode(StrEnum):
    """Reason of a failed fetch."""

    URL_REFUSED = "url_refused"  # scheme, user info, port, or an address that is not public
    SOURCE_UNREACHABLE = "source_unreachable"  # name, connection, or the server's own refusal
    SOURCE_TOO_LARGE = "source_too_large"
    SOURCE_CHANGED = "source_changed"  # other bytes than at the measurement
    SOURCE_TIMEOUT = "source_timeout"


class FetchRefused(Exception):
    """A fetch that was not allowed or did not succeed.

    Attributes:
        code: reason of the failure.
        detail: one sentence for people, without the URL, which may be signed.
        transient: True if the same fetch may succeed later.
        status: HTTP status, if the server's answer was the reason.
        retry_after_sec: seconds until the server wants to be asked again; None if it did not say.
    """

    def __init__(
        self,
        code: FetchCode,
        detail: str,
        *,
        transient: bool = False,
        status: int | None = None,
        retry_after_sec: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.transient = transient
        self.status = status
        self.retry_after_sec = retry_after_sec


def url_refused(detail: str) -> FetchRefused:
    """Make the error of a URL that breaks a rule."""
    return FetchRefused(FetchCode.URL_REFUSED, detail)


def unreachable(
    detail: str,
    *,
    transient: bool = False,
    status: int | None = None,
    retry_after_sec: float | None = None,
) -> FetchRefused:
    """Make the error of a fetch without a usable answer."""
    return FetchRefused(
        FetchCode.SOURCE_UNREACHABLE,
        detail,
        transient=transient,
        status=status,
        retry_after_sec=retry_after_sec,
    )


def too_large(max_bytes: int) -> FetchRefused:
    """Make the error of a file with more bytes than the caller accepts."""
    return FetchRefused(FetchCode.SOURCE_TOO_LARGE, f"The file has more than {max_bytes} bytes.")


def changed(detail: str) -> FetchRefused:
    """Make the error of a file that is another version than requested."""
    return FetchRefused(FetchCode.SOURCE_CHANGED, detail)


def timed_out(detail: str = "The server did not answer in time.") -> FetchRefused:
    """Make the error of a fetch that reached a time limit."""
    return FetchRefused(FetchCode.SOURCE_TIMEOUT, detail, transient=True)


def refusal_of(error: Exception) -> FetchRefused:
    """Translate an exception of the HTTP libraries."""
    if isinstance(error, requests.Timeout | ReadTimeoutError):
        return timed_out()
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return url_refused("The URL is malformed.")
    if (fault := certificate_fault(error)) is not None:
        lasts = fault.verify_code in _LASTING_FAULTS
        return unreachable("The server's certificate is not valid.", transient=not lasts)
    return unreachable("The connection to the server broke.", transient=True)


def certificate_fault(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the fault of a certificate that caused an exception; None for another cause."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
