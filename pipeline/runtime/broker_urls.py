"""Check of a broker's URL for a password."""

from urllib.parse import unquote, urlsplit

_NETWORKED = frozenset(
    {"redis", "rediss", "valkey", "valkeys", "sentinel", "amqp", "amqps", "pyamqp", "librabbitmq"}
)
"""Transports over a network; the machine guards the others (a Unix socket, memory)."""


class BrokerOpen(ValueError):
    """The broker asks for no password."""


def check_guarded(url: str) -> None:
    """Refuse a broker's URL without a password.

    A client with write access to the broker can start any task and stop workers by remote control.
    Our own checks protect the data from that, but not the service.

    Args:
        url: URL in Celery's form: semicolons separate several brokers for a failover.

    Raises:
        BrokerOpen: a URL has no password.
    """
    for one in url.split(";"):
        parts = urlsplit(one.strip())
        if parts.scheme.lower() in _NETWORKED and not unquote(parts.password or ""):
            raise BrokerOpen(
                "has no password: any client that reaches the broker could command the workers"
            )
