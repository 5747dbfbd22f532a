"""Whether a broker can be entered by anybody who can reach it."""

from urllib.parse import unquote, urlsplit

_NETWORKED = frozenset(
    {"redis", "rediss", "valkey", "valkeys", "sentinel", "amqp", "amqps", "pyamqp", "librabbitmq"}
)
"""Transports over a network; the others (a socket's file, memory) are guarded by the machine."""


class BrokerOpen(ValueError):
    """The broker asks for no password."""


def check_guarded(url: str) -> None:
    """Refuse a broker's URL that brings no password.

    Whoever can write to the broker can wake any task as often as they like, and stop workers by
    remote control: our own checks make that harmless to the data, not to the service.

    Args:
        url: As Celery takes it: several, for a failover, are separated by semicolons.

    Raises:
        BrokerOpen: one of them brings none.
    """
    for one in url.split(";"):
        parts = urlsplit(one.strip())
        if parts.scheme.lower() in _NETWORKED and not unquote(parts.password or ""):
            raise BrokerOpen(
                "brings no password: whoever reaches the broker could command the workers"
            )
