"""Rules for a URL, checked before and while it is opened."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from pipeline.net.addresses import Address, Network, is_fetchable
from pipeline.net.fetch_errors import FetchRefused, url_refused

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
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class FetchPolicy:
    """The rules of one fetcher."""

    allow: tuple[Network, ...] = ()  # private networks that may be fetched from
    https_only: bool = True
    ports: frozenset[int] | None = None  # None: any
    hosts: frozenset[str] | None = None  # in lower case, or `*.` and a domain; None: any
    connect_timeout_sec: float = 5  # for each address of the host
    read_timeout_sec: float = 15  # longest time without a byte
    answer_timeout_sec: float = 30  # until an answer begins, redirects included
    min_bps: int = 0  # least average bits a second of a body after `grace_sec`; 0: no limit
    grace_sec: float = 60
    total_timeout_sec: float = 60  # longest time of one call with all its redirects
    max_redirects: int = 3


def allowed_ports(named: frozenset[int] | Literal["any"], *, http: bool) -> frozenset[int] | None:
    """Return a policy's ports for a setting: the named ones, or the schemes' own if it is empty."""
    if named == "any":
        return None
    return named or frozenset(DEFAULT_PORTS[scheme] for scheme in _schemes(https_only=not http))


def check_url(url: str, policy: FetchPolicy) -> None:
    """Check a URL by the rules that need no network, such as a URL in a request to us.

    The fetcher checks the addresses of a host name later, while it connects.

    Raises:
        FetchRefused: `url_refused`.
    """
    if len(url) > _MAX_URL_CHARS or _UNPRINTABLE.search(url):
        raise url_refused("The URL is too long or holds characters that must be percent-encoded.")
    parts, port = _parts(url)
    if parts.scheme not in _schemes(https_only=policy.https_only):
        raise url_refused("The URL is not an https address.")
    if not parts.hostname:
        raise url_refused("The URL names no host.")
    if "@" in parts.netloc:
        raise url_refused("The URL holds a user name or password.")
    _check_host(parts.hostname, policy)
    check_port(port or DEFAULT_PORTS[parts.scheme], policy)
    if literal := _literal(parts.hostname):
        check_address(literal, policy)


def _check_host(host: str, policy: FetchPolicy) -> None:
    # URL parsers differ in how they read %31, a zone and a bracket, so all three are refused.
    if not _HOST.fullmatch(host):
        raise url_refused("The URL's host is not spelled as a name or an address.")
    if policy.hosts is not None and not _is_among(host.removesuffix("."), policy.hosts):
        raise url_refused("The URL's host is not allowed.")


def _is_among(host: str, patterns: frozenset[str]) -> bool:
    """Return True if a host is listed, or lies below a domain that is listed as `*.domain`."""
    labels = host.split(".")
    above = {f"*.{'.'.join(labels[at:])}" for at in range(1, len(labels))}
    return host in patterns or bool(above & patterns)


def check_port(port: int, policy: FetchPolicy) -> None:
    """Raise `FetchRefused` (`url_refused`) unless the policy has the port."""
    if policy.ports is not None and port not in policy.ports:
        raise url_refused(f"Port {port} is not allowed.")


def check_address(address: Address, policy: FetchPolicy) -> None:
    """Raise `FetchRefused` (`url_refused`) unless the address is public or allowed."""
    if not is_fetchable(address, policy.allow):
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
