"""An operator at the command line: who they are, and their login at the database.

What this stands on takes long to import; commands import it when they run.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import getuser
from socket import gethostname
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.environment import complete
from cli.outcomes import CommandFailed, Exit
from pipeline import store
from pipeline.database import make_engine, session_of
from pipeline.settings import Settings, SettingsInvalid, load_settings


@dataclass(frozen=True)
class Operator:
    """Who types.

    Attributes:
        actor: How the chronicle and the audit name them.
        source: Their machine, which stands for an address in the audit.
    """

    actor: str
    source: str

    def audit(self, session: Session, action: str, **detail: Any) -> None:
        """Write down what they do, in the transaction of what is done."""
        store.audit(session, action, actor=self.actor, source=self.source, detail=detail)


def present_operator() -> Operator:
    """Whoever runs this process."""
    return Operator(f"operator:{getuser()}", gethostname())


def configured() -> Settings:
    """The settings of the environment, completed from the stack that runs from here.

    Raises:
        CommandFailed: they are wrong.
    """
    os.environ.update(complete(os.environ))
    try:
        return load_settings()
    except SettingsInvalid as error:
        raise CommandFailed(
            Exit.USAGE, "not_configured", str(error), "Set the variables that are named."
        ) from error


@contextmanager
def operator_session() -> Iterator[Session]:
    """A transaction of the operators' login; commits at the end.

    Raises:
        CommandFailed: the settings are wrong, or the database does not answer.
    """
    url = configured().operator_database_url.get_secret_value()
    engine = make_engine(url, pool_size=1, name="khronika")
    try:
        with session_of(engine) as session:
            yield session
    except SQLAlchemyError as error:
        raise database_away(error) from error
    finally:
        engine.dispose()


def database_away(error: SQLAlchemyError) -> CommandFailed:
    """What a command says of a database that does not do what it is asked."""
    said = str(getattr(error, "orig", None) or error).strip()
    return CommandFailed(Exit.UNREACHABLE, "database_unavailable", said, "Run `khronika doctor`.")
