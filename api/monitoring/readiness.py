"""The readiness of this process, part by part."""

import os
import time
from collections.abc import Callable, Mapping
from threading import Lock

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.wiring.services import Services
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.database import session_of, takes_writes
from pipeline.storage.base import Storage, StorageError

OK = "ok"
REQUIRED = frozenset({"database", "migrations", "storage"})
"""The broker is not among them: without it work is slower, but requests are served."""

FRESH_SEC = 1.0
"""Requests within this time share one check, so that a caller cannot make the storage write all
day."""


class Readiness:
    """The result of the latest check; safe for any number of threads.

    Args:
        check: Checks every part.
    """

    def __init__(
        self, check: Callable[[], Mapping[str, str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = check
        self._clock = clock
        self._lock = Lock()
        self._checked_at = float("-inf")
        self._latest: Mapping[str, str] = {}

    def checks(self) -> Mapping[str, str]:
        """Return ``ok`` or the error of each part; the result is at most ``FRESH_SEC`` old."""
        with self._lock:
            if self._clock() - self._checked_at >= FRESH_SEC:
                self._latest = self._check()
                self._checked_at = self._clock()
            return self._latest


def check(services: Services) -> Mapping[str, str]:
    """Return ``ok`` or the error of each part."""
    broker = OK if services.publisher.is_reachable() else "does not answer, or refuses a queue"
    storage = check_storage(services.storage)
    return {**_database(services.engines.api), "storage": storage, "broker": broker}


def is_ready(checks: Mapping[str, str]) -> bool:
    """Return True if every required part is ``ok``."""
    return all(checks[part] == OK for part in REQUIRED)


def _database(engine: Engine) -> Mapping[str, str]:
    try:
        with session_of(engine) as session:
            found = session.scalar(text("SELECT version_num FROM alembic_version"))
            writable = takes_writes(session)
    except SQLAlchemyError as error:
        return {"database": type(error).__name__, "migrations": "unknown"}
    wanted = PIPELINE_HISTORY.newest_revision()
    # In an upgrade the schema goes first. The processes of the old version serve until new ones do.
    is_enough = found is not None and found >= wanted
    return {
        "database": OK if writable else "takes no writes",
        "migrations": OK if is_enough else f"at {found}, needs {wanted}",
    }


def check_storage(storage: Storage) -> str:
    """Return ``ok``, or the kind of error of a write to the storage."""
    # Only a write detects wrong permissions, quotas and full disks. One key for each process.
    try:
        storage.write(f"health/{os.getpid()}", [b"ok"])
    except (OSError, StorageError) as error:
        return type(error).__name__
    return OK
