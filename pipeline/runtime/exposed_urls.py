"""Logins and connections of servers, as their URLs describe them."""

from collections.abc import Iterator
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pipeline.runtime.loopback import is_loopback
from pipeline.runtime.weak_secrets import password_weakness

_ENCRYPTED_SCHEMES = frozenset({"rediss", "valkeys", "amqps"})
_LOCAL_SCHEMES = frozenset({"redis+socket", "redis+unix", "socket", "memory", "filesystem"})
_ENCRYPTED_MODES = frozenset({"require", "verify-ca", "verify-full"})
_OTHER_LOGINS = frozenset({"passfile", "service", "sslcert", "krbsrvname", "gssencmode"})
"""Parameters of libpq by which a client logs in without a password in the URL."""


def database_password_problem(url: str) -> str | None:
    """Return the fault of the password in a Postgres URL; None if it has none."""
    parts = urlsplit(url)
    if not _hosts(parts) or _OTHER_LOGINS & parse_qs(parts.query).keys():
        return None  # a Unix socket knows its user
    return _password_problem(parts, "password" in parse_qs(parts.query))


def broker_password_problem(urls: str) -> str | None:
    """Return the fault of the password in the URLs of a broker; None if it has none."""
    for parts in _networked(urls):
        if problem := _password_problem(parts, has_other=False):
            return problem
    return None


def is_database_in_the_clear(url: str) -> bool:
    """Return True if a Postgres URL may connect to another machine without TLS."""
    parts = urlsplit(url)
    mode = parse_qs(parts.query).get("sslmode", ["prefer"])[-1]
    return mode not in _ENCRYPTED_MODES and not all(map(_is_here, _hosts(parts)))


def is_broker_in_the_clear(urls: str) -> bool:
    """Return True if a broker on another machine is reached without TLS, or without its check."""
    return any(
        parts.scheme not in _ENCRYPTED_SCHEMES or "none" in parts.query.lower()
        for parts in _networked(urls)
        if not is_loopback(parts.hostname or "localhost")
    )


def is_storage_in_the_clear(url: str) -> bool:
    """Return True if a bucket's service on another machine is reached over plain http."""
    parts = urlsplit(url)
    endpoint = urlsplit(parse_qs(parts.query).get("endpoint", [""])[-1])
    return endpoint.scheme == "http" and not is_loopback(endpoint.hostname or "")


def login_of(url: str) -> tuple[str, str, str]:
    """Return the user, the password, and the server of a URL."""
    parts = urlsplit(url.partition(";")[0].strip())
    server = parts.netloc.rpartition("@")[2]
    return unquote(parts.username or ""), unquote(parts.password or ""), server


def _password_problem(parts: SplitResult, has_other: bool) -> str | None:  # noqa: FBT001
    password = unquote(parts.password or "")
    if not password:
        return None if has_other else "has no password"
    problem = password_weakness(password, unquote(parts.username or ""))
    return f"has a password that {problem}" if problem else None


def _networked(urls: str) -> Iterator[SplitResult]:
    for url in urls.split(";"):
        parts = urlsplit(url.strip())
        if parts.scheme.lower() not in _LOCAL_SCHEMES:
            yield parts._replace(scheme=parts.scheme.lower())


def _hosts(parts: SplitResult) -> list[str]:
    """Return the hosts of a Postgres URL that are reached over a network."""
    named = parse_qs(parts.query)
    hosts = [
        *parts.netloc.rpartition("@")[2].split(","),
        *",".join([*named.get("host", []), *named.get("hostaddr", [])]).split(","),
    ]
    return [host for host in hosts if host and not unquote(host).startswith("/")]


def _is_here(host: str) -> bool:
    if host.startswith("["):
        return is_loopback(host[1:].partition("]")[0])
    return is_loopback(host) or is_loopback(host.rpartition(":")[0])
