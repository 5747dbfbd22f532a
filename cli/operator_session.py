"""The operator at the command line: their name, their settings and their database login.

This module takes long to import, so commands import it when they run.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from getpass import getuser
from socket import gethostname
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.command_errors import CommandFailed, ExitCode
from cli.environment import complete_environment
from pipeline.config.groups import ProcessSettings, load_settings
from pipeline.domain.audit_types import AuditType
from pipeline.process_settings import OperatorSettings, WorkerSettings
from pipeline.records import store
from pipeline.runtime.database import make_engine, session_of
from pipeline.runtime.filed_settings import SettingsInvalid
from pipeline.services import Services, build_services


@dataclass(frozen=True)
class Operator:
    """The user who runs this process.

    Attributes:
        actor: Their name in chronicles and in the audit.
        source: Their machine, which the audit records in place of an address.
        request_id: The id of this run of a command; each of its audit events has it.
    """

    actor: str
    source: str
    request_id: str

    def audit(self, session: Session, action: AuditType, **detail: Any) -> None:
        """Record a deed in the audit, within the deed's own transaction."""
        store.audit(
            session,
            action,
            actor=self.actor,
            source=self.source,
            request_id=self.request_id,
            detail=detail,
        )

    def audit_first(self, action: AuditType, **detail: Any) -> None:
        """Record a deed of a command that has a worker's login, before the deed.

        A worker's login cannot write audit events of operators, so that the event has a transaction
        of its own; the deed begins after its commit.

        Raises:
            CommandFailed: the event cannot be recorded; nothing was done.
        """
        with operator_session() as session:
            self.audit(session, action, **detail)


def current_operator() -> Operator:
    """Return the user who runs this process, with a new id of the run."""
    return Operator(f"operator:{getuser()}", gethostname(), uuid4().hex)


def operator_settings() -> OperatorSettings:
    """Load the settings of the operators' commands.

    Raises:
        CommandFailed: the settings are wrong.
    """
    return command_settings(OperatorSettings)


def command_settings(process: type[ProcessSettings]) -> ProcessSettings:
    """Load settings from the environment and from the stack of this checkout.

    Raises:
        CommandFailed: the settings are wrong.
    """
    os.environ.update(complete_environment(os.environ))
    with reading_settings():
        return load_settings(process)


@contextmanager
def reading_settings() -> Iterator[None]:
    """Turn wrong settings into a failure of the command.

    Raises:
        CommandFailed: the settings are wrong.
    """
    try:
        yield
    except SettingsInvalid as error:
        raise CommandFailed(
            ExitCode.USAGE, "not_configured", str(error), "Set the variables that are named."
        ) from error


@contextmanager
def operator_engine() -> Iterator[Engine]:
    """Open an engine with one connection and the operators' login.

    Raises:
        CommandFailed: the settings are wrong, or the database refuses or does not answer.
    """
    url = operator_settings().operator_login.url.get_secret_value()
    engine = make_engine(url, pool_size=1, name="khronika")
    try:
        yield engine
    except SQLAlchemyError as error:
        sentence = str(getattr(error, "orig", None) or error).strip()
        raise CommandFailed(
            ExitCode.UNREACHABLE, "database_unavailable", sentence, "Run `khronika doctor`."
        ) from error
    finally:
        engine.dispose()


@contextmanager
def operator_session() -> Iterator[Session]:
    """Open a transaction with the operators' login; it commits at the end.

    Raises:
        CommandFailed: the settings are wrong, or the database refuses or does not answer.
    """
    with operator_engine() as engine, session_of(engine) as session:
        yield session


@contextmanager
def worker_services() -> Iterator[Services]:
    """Open the services of a worker, for a command that does a worker's task.

    Raises:
        CommandFailed: the settings are wrong.
    """
    with closing(build_services(command_settings(WorkerSettings))) as services:
        yield services
