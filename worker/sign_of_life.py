"""The sign of life of this worker process, for the metrics."""

import os
import socket
from collections.abc import Sequence
from threading import Event, Thread

import structlog
from sqlalchemy import Engine

from pipeline.records import presence
from pipeline.runtime.database import DATABASE_AWAY, session_of

STOP_SEC = 2.0
"""Longest wait for a statement that is under way when the process stops."""

log = structlog.get_logger()


class SignOfLife:
    """A thread that records the presence of its process, until it is stopped.

    It is made after the fork of a prefork child. A child that is killed leaves a row that ages.
    """

    def __init__(self, engine: Engine, queues: Sequence[str]) -> None:
        self._engine = engine
        self._queues = sorted(queues)
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._ended = Event()
        self._thread = Thread(target=self._repeat, name="sign of life", daemon=True)

    def start(self) -> None:
        """Record the presence now, and again every ``REPEAT_SEC``."""
        self._thread.start()

    def stop(self) -> None:
        """Record that the process ends."""
        self._ended.set()
        self._thread.join(STOP_SEC)
        try:
            with session_of(self._engine) as session:
                presence.end_presence(session, self._process)
        except DATABASE_AWAY as error:
            log.warning("presence_not_ended", error=type(error).__name__)

    def _repeat(self) -> None:
        while not self._ended.is_set():
            try:
                with session_of(self._engine) as session:
                    presence.note_presence(session, self._process, self._queues)
            except DATABASE_AWAY as error:
                log.warning("presence_not_noted", error=type(error).__name__)
            self._ended.wait(presence.REPEAT_SEC)
