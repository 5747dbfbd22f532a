"""Whether this process can do its work now, part by part."""

import os
import time
from collections.abc import Callable, Mapping
from threading import Lock

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.wiring.services import Services
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.database import session_of
from pipeline.storage.base import Storage, StorageError

OK = "ok"
REQUIRED = frozenset({"database", "migrations", "storage"})
"""The broker is not among them: without it work is slower, not refused."""

FRESH_SEC = 1.0
"""Requests within this time share one look: nobody can make the storage write all day."""


class Readiness:
    """What the last look found. For any number of threads.

    Args:
        look: Looks at every part.
    """

    def __init__(
        self, look: Callable[[], Mapping[str, str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._found: Mapping[str, str] = {}

    def checks(self) -> Mapping[str, str]:
        """``ok`` or what is wrong, for each part, as it is now or was up to ``FRESH_SEC`` ago."""
        with self._lock:
            if self._clock() - self._looked_at >= FRESH_SEC:
                self._found = self._look()
                self._looked_at = self._clock()
            return self._found


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
    wanted = PIPELINE_HISTORY.newest_revision()
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
