"""Postgres and the broker: those the environment names, else embedded ones."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from stack.broker import BrokerServer, running_broker
from stack.home import Home
from stack.postgres import OWNER, PostgresServer, running_postgres


@dataclass(frozen=True)
class Servers:
    """What a stack stands on.

    Attributes:
        owner_url: The login that owns the schema; for migrations only.
        broker_url: Where messages go.
        postgres: The embedded server; None when ``DATABASE_URL`` named one.
        broker: The embedded broker; None when ``BROKER_URL`` named one.
    """

    owner_url: str
    broker_url: str
    postgres: PostgresServer | None
    broker: BrokerServer | None


@contextmanager
def running_servers(
    home: Home,
    env: Mapping[str, str],
    credentials: Mapping[str, str],
    *,
    throwaway: bool = False,
) -> Iterator[Servers]:
    """Start what ``DATABASE_URL`` and ``BROKER_URL`` leave open; stop it when the block ends.

    Args:
        home: Held by the caller.
        env: The caller's environment.
        credentials: From ``load_credentials``.
        throwaway: For tests: fast, and nothing is kept.

    Raises:
        ServerFailed: a server did not start.
        NoPostgresLocation: this machine has no place for Postgres.
    """
    owner_url, broker_url = env.get("DATABASE_URL"), env.get("BROKER_URL")
    postgres, broker = None, None
    with ExitStack() as stack:
        if not owner_url:
            password = credentials["owner_password"]
            postgres = stack.enter_context(
                running_postgres(home, owner_password=password, throwaway=throwaway)
            )
            owner_url = postgres.url(OWNER, password)
        if not broker_url:
            password = credentials["broker_password"]
            broker = stack.enter_context(
                running_broker(home, password=password, throwaway=throwaway)
            )
            broker_url = broker.url()
        yield Servers(owner_url, broker_url, postgres, broker)
