"""Whether this process can do its work now, part by part."""

import os
from collections.abc import Mapping

from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.services import Services
from pipeline.database import MIGRATIONS, session_of
from pipeline.storage.base import Storage, StorageError

OK = "ok"
REQUIRED = frozenset({"database", "migrations", "storage"})
"""The broker is not among them: without it work is slower, not refused."""


def check(services: Services) -> Mapping[str, str]:
    """``ok`` or what is wrong, for each part."""
    broker = OK if services.publisher.is_reachable() else "does not answer"
    storage = _storage(services.storage)
    return {**_database(services.engines.api), "storage": storage, "broker": broker}


def is_ready(checks: Mapping[str, str]) -> bool:
    """Whether every required part is ``ok``."""
    return all(checks[part] == OK for part in REQUIRED)


def _database(engine: Engine) -> Mapping[str, str]:
    try:
        with session_of(engine) as session:
            found = session.scalar(text("SELECT version_num FROM alembic_version"))
    except SQLAlchemyError as error:
        return {"database": type(error).__name__, "migrations": "unknown"}
    wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    return {
        "database": OK,
        "migrations": OK if found == wanted else f"at {found}, needs {wanted}",
    }


def _storage(storage: Storage) -> str:
    # Permissions, quotas and full disks are only found out by writing. One key per process.
    try:
        storage.write(f"health/{os.getpid()}", [b"ok"])
    except (OSError, StorageError) as error:
        return type(error).__name__
    return OK
