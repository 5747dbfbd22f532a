"""Rules for a URL, checked before and while it is opened.

An allowed origin need be neither public nor https. A fetch reaches it only if the fetch begins
there: a server elsewhere cannot lead a fetch to it by a redirect. Our own origins may lead to each
other, because the API redirects to the storage.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from pipeline.net.addresses import Address, is_fetchable
from pipeline.net.fetch_errors import FetchRefused, url_refused
from pipeline.net.origins import DEFAULT_PORTS, AllowedOrigin, WebOrigin, plain_host

# `FetchRefused` is exported for modules that check a URL and fetch nothing.
__all__ = [
    "DEFAULT_PORTS",
    "FetchPolicy",
    "FetchRefused",
    "allowed_ports",
    "check_address",
    "check_port",
    "check_url",
]

_MAX_URL_CHARS = 4096  # signed object-store URLs reach 2000
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]|\\")
_HOST = re.compile(r"[0-9a-z._-]+|[0-9a-f:.]+")  # a name or an IPv6 address; no zone, no escapes


@dataclass(frozen=True, kw_only=True)
class FetchPolicy:
    """The rules of one fetcher."""

    allow: tuple[AllowedOrigin, ...] = ()  # neither public nor https, if the fetch begins there
    own: frozenset[WebOrigin] = frozenset()  # likewise; they may also redirect to each other
    own_only: bool = False  # nothing but `own` is fetched
    https_only: bool = True
    ports: frozenset[int] | None = None  # None: any
    hosts: frozenset[str] | None = None  # in lower case, or `*.` and a domain; None: any
    connect_timeout_sec: float = 5  # for each address of the host
    read_timeout_sec: float = 15  # longest time without a byte
    answer_timeout_sec: float = 30  # until an answer begins, redirects included
    min_bps: int = 0  # least average bits a second of a body after `grace_sec`; 0: no limit
    grace_sec: float = 60
    total_timeout_sec: float = 60  # longest time of one call with all its redirects; see below
    max_redirects: int = 20  # as browsers: https://fetch.spec.whatwg.org/#http-redirect-fetch

    def longest_sec(self, size_bytes: int) -> float:
        """Return the longest time of a call that reads part of a source, of at most this size.

        Without a least rate it is the total time of any call. With one, the rate bounds it.
        """
        if not self.min_bps:
            return self.total_timeout_sec
        return max(self.total_timeout_sec, self.grace_sec + size_bytes * 8 / self.min_bps)

    def is_excepted(self, origin: WebOrigin) -> bool:
        """Return true for an origin that need be neither public nor https."""
        return origin in self.own or any(each.covers(origin) for each in self.allow)


def allowed_ports(named: frozenset[int] | Literal["any"], *, http: bool) -> frozenset[int] | None:
    """Return a policy's ports for a setting: the named ones, or the schemes' own if it is empty."""
    if named == "any":
        return None
    return named or frozenset(DEFAULT_PORTS[scheme] for scheme in _schemes(https_only=not http))


def check_url(url: str, policy: FetchPolicy, passed: Sequence[WebOrigin] = ()) -> WebOrigin:
    """Check a URL by the rules that need no network, such as a URL in a request to us.

    The fetcher checks the addresses of a host name later, while it connects.

    Args:
        passed: The origins that have redirected to this URL, the first one first.

    Returns:
        The origin of the URL.

    Raises:
        FetchRefused: `url_refused`.
    """
    origin = _spelled_origin(url)
    if policy.hosts is not None and not _is_among(origin.host, policy.hosts):
        raise url_refused("The URL's host is not allowed.")
    if policy.is_excepted(origin):
        _check_way(origin, policy, passed)
    else:
        _check_elsewhere(origin, policy)
    return origin


def _spelled_origin(url: str) -> WebOrigin:
    if len(url) > _MAX_URL_CHARS or _UNPRINTABLE.search(url):
        raise url_refused("The URL is too long or holds characters that must be percent-encoded.")
    parts, port = _parts(url)
    if parts.scheme not in DEFAULT_PORTS:
        raise url_refused("The URL is not an https address.")
    if not parts.hostname:
        raise url_refused("The URL names no host.")
    if "@" in parts.netloc:
        raise url_refused("The URL holds a user name or password.")
    # URL parsers differ in how they read %31, a zone and a bracket, so all three are refused.
    if not _HOST.fullmatch(parts.hostname):
        raise url_refused("The URL's host is not spelled as a name or an address.")
    return WebOrigin(parts.scheme, plain_host(parts.hostname), port or DEFAULT_PORTS[parts.scheme])


def _check_way(origin: WebOrigin, policy: FetchPolicy, passed: Sequence[WebOrigin]) -> None:
    """Refuse an excepted origin to which another origin has redirected."""
    if not passed or origin == passed[0] or policy.own.issuperset((origin, *passed)):
        return
    raise url_refused("The URL redirects to an origin that only a URL of that origin may lead to.")


def _check_elsewhere(origin: WebOrigin, policy: FetchPolicy) -> None:
    if policy.own_only:
        raise url_refused("The URL is not one of our own.")
    if origin.scheme not in _schemes(https_only=policy.https_only):
        raise url_refused("The URL is not an https address.")
    check_port(origin.port, policy)
    if literal := _literal(origin.host):
        check_address(literal)


def _is_among(host: str, patterns: frozenset[str]) -> bool:
    """Return True if a host is listed, or lies below a domain that is listed as `*.domain`."""
    labels = host.split(".")
    above = {f"*.{'.'.join(labels[at:])}" for at in range(1, len(labels))}
    return host in patterns or bool(above & patterns)


def check_port(port: int, policy: FetchPolicy) -> None:
    """Raise `FetchRefused` (`url_refused`) unless the policy has the port."""
    if policy.ports is not None and port not in policy.ports:
        raise url_refused(f"Port {port} is not allowed.")


def check_address(address: Address) -> None:
    """Raise `FetchRefused` (`url_refused`) unless the address is public."""
    if not is_fetchable(address):
        raise url_refused("The URL leads to an address that is not on the public internet.")


def _schemes(*, https_only: bool) -> tuple[str, ...]:
    return ("https",) if https_only else ("https", "http")


def _parts(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise url_refused("The URL is malformed.") from error
    return parts, port


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
