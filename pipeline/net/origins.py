"""Origins (RFC 6454, section 4): scheme, host and port of an address, taken together.

An exception to the rules of a fetch is made for an origin. An exception for a network or a host
would also hold for every other service there.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
ANY_PORT = "*"

_SPELLED = re.compile(r"(https?)://([0-9a-z._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}|\*))?/?")
_LARGEST_PORT = 65535


@dataclass(frozen=True)
class WebOrigin:
    """One origin; its host is in lower case, without brackets and without a final dot."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True)
class AllowedOrigin:
    """An origin in a setting; without a port it stands for every port of the host."""

    scheme: str
    host: str
    port: int | None

    def covers(self, origin: WebOrigin) -> bool:
        """Return true if an origin is this one."""
        same_host = (self.scheme, self.host) == (origin.scheme, origin.host)
        return same_host and self.port in (None, origin.port)

    def __str__(self) -> str:
        """Return the setting's spelling."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{ANY_PORT if self.port is None else self.port}"


def plain_host(host: str) -> str:
    """Return the one spelling of a host: lower case, no brackets, no final dot."""
    return host.lower().strip("[]").removesuffix(".")


def web_origin_of(url: str) -> WebOrigin:
    """Return the origin of an absolute http or https URL.

    Raises:
        ValueError: The URL is malformed, or of another scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("is not an http or https URL")
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    return WebOrigin(parts.scheme, plain_host(parts.hostname), port)


def read_allowed_origin(text: str) -> AllowedOrigin:
    """Read an origin such as ``https://media.example``, ``http://10.0.0.5:8080``.

    The port ``*`` stands for every port of the host.

    Raises:
        ValueError: The text is no origin.
    """
    found = _SPELLED.fullmatch(text.lower())
    if found is None:
        raise ValueError("is not an origin such as https://media.example or http://10.0.0.5:8080")
    scheme, host, port = found.groups()
    if port == ANY_PORT:
        return AllowedOrigin(scheme, plain_host(host), None)
    number = int(port or DEFAULT_PORTS[scheme])
    if not 0 < number <= _LARGEST_PORT:
        raise ValueError("has a port that does not exist")
    return AllowedOrigin(scheme, plain_host(host), number)


def read_origin(text: str) -> WebOrigin:
    """Read an origin whose port is one port.

    Raises:
        ValueError: The text is no origin, or stands for several.
    """
    found = read_allowed_origin(text)
    if found.port is None:
        raise ValueError("names no port")
    return WebOrigin(found.scheme, found.host, found.port)
