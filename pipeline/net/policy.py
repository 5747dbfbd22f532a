"""What may be fetched: the rules a URL is held to before and while it is opened."""

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from pipeline.net.addresses import Address, Network, is_fetchable

_MAX_URL_CHARS = 4096  # signed object-store URLs reach 2000
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]|\\")
_DEFAULT_PORTS = {"http": 80, "https": 443}


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


@dataclass(frozen=True, kw_only=True)
class FetchPolicy:
    """The rules of one fetcher."""

    allow: tuple[Network, ...] = ()  # networks that may be fetched from although not public
    https_only: bool = True
    ports: frozenset[int] | None = None  # None: any
    connect_timeout_sec: float = 5  # for each address of the host
    read_timeout_sec: float = 15  # without a single byte
    total_timeout_sec: float = 60  # one call with all its redirects, whatever trickles in
    max_redirects: int = 3


def check_url(url: str, policy: FetchPolicy) -> None:
    """Hold a URL to the rules that need no network, as for a URL in a request to us.

    A host name may still turn out to have a refused address; the fetcher checks that as it
    connects.

    Raises:
        FetchRefused: `url_refused`.
    """
    if len(url) > _MAX_URL_CHARS or _UNPRINTABLE.search(url):
        raise _refused("The URL is too long or holds characters that must be percent-encoded.")
    parts, port = _parts(url)
    if parts.scheme not in (("https",) if policy.https_only else ("http", "https")):
        raise _refused("The URL is not an https address.")
    if not parts.hostname:
        raise _refused("The URL names no host.")
    if "@" in parts.netloc:
        raise _refused("The URL holds a user name or password.")
    check_port(port or _DEFAULT_PORTS[parts.scheme], policy)
    if literal := _literal(parts.hostname):
        check_address(literal, policy)


def check_port(port: int, policy: FetchPolicy) -> None:
    """Raises `FetchRefused` (`url_refused`) unless the policy has the port."""
    if policy.ports is not None and port not in policy.ports:
        raise _refused(f"Port {port} is not allowed.")


def check_address(address: Address, policy: FetchPolicy) -> None:
    """Raises `FetchRefused` (`url_refused`) unless the address is public or allowed."""
    if not is_fetchable(address, policy.allow):
        raise _refused("The URL leads to an address that is not on the public internet.")


def _parts(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("The URL is malformed.") from error
    return parts, port


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refused(detail: str) -> FetchRefused:
    return FetchRefused(FetchCode.URL_REFUSED, detail)
