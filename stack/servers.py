"""Postgres and the broker: the ones that the environment names, else embedded ones."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from stack.broker import BrokerServer, running_broker
from stack.home import Home
from stack.postgres import OWNER, PostgresServer, running_postgres
from stack.waiting import PATIENT, Waiting


@dataclass(frozen=True)
class Servers:
    """The database and the broker of a stack.

    Attributes:
        owner_url: The login that owns the schema; for migrations only.
        broker_url: The address of the broker.
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
    waiting: Waiting = PATIENT,
) -> Iterator[Servers]:
    """Run embedded servers in place of an unset ``DATABASE_URL`` or ``BROKER_URL``.

    Args:
        home: Held by the caller.
        env: The caller's environment.
        credentials: From ``load_credentials``.
        throwaway: For tests: faster, and nothing is kept.
        waiting: Used until each server answers.

    Raises:
        BrokerMissing: the broker's wheel is not installed.
        NoPostgresLocation: this machine has no folder that Postgres can use.
        ProcessDied: a server ended at its start.
        NoProgress: a server does not answer.
    """
    owner_url, broker_url = env.get("DATABASE_URL"), env.get("BROKER_URL")
    postgres, broker = None, None
    with ExitStack() as stack:
        if not owner_url:
            password = credentials["owner_password"]
            postgres = stack.enter_context(
                running_postgres(
                    home, owner_password=password, throwaway=throwaway, waiting=waiting
                )
            )
            owner_url = postgres.url(OWNER, password)
        if not broker_url:
            password = credentials["broker_password"]
            broker = stack.enter_context(
                running_broker(home, password=password, throwaway=throwaway, waiting=waiting)
            )
            broker_url = broker.url()
        yield Servers(owner_url, broker_url, postgres, broker)
