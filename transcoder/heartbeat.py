"""Heartbeat of an encode: renewal of its lease, and progress callbacks to the client."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from pipeline.runtime.database import DATABASE_AWAY, session_of
from transcoder import store
from transcoder.callback_delivery import CallbackAnswer
from transcoder.job_view import callback_body
from transcoder.models import Job, JobStep
from transcoder.services import TranscoderServices
from transcoder.store import Lease, LeaseLost

_RENEW_EVERY_SEC = 1.0  # a cancel is noticed at the next renewal
_REPORT_EVERY_SEC = 2.0
_REPORT_TIMEOUT_SEC = 1.0  # a progress callback must not delay the encode
_SILENT_AFTER_FAILURE_SEC = 30.0
_ENCODING_SHARE = 0.95  # of the percentage; the rest is packaging and publishing

_log = logging.getLogger(__name__)


@dataclass
class Heartbeat:
    """Holder of a job's lease during the work, and reporter of its progress.

    Every renewal is one guarded UPDATE that records step and percentage. If it matches no row, the
    job was cancelled or taken over, and the work stops.
    """

    services: TranscoderServices
    lease: Lease
    job: Job
    clock: Callable[[], float] = time.monotonic
    _step: str = JobStep.DOWNLOADING
    _progress: float = 0.0
    _renewed_at: float = float("-inf")
    _report_at: float = float("-inf")
    _reported: tuple[str, float] | None = field(default=None)

    def enter_step(self, step: JobStep) -> None:
        """Record that a step begins.

        Raises:
            LeaseLost: The job was cancelled or taken over.
        """
        self._step = step
        self._renew()

    def note_encoding(self, step: str, percent: float) -> None:
        """Note the percentage of the encode; the next beat writes it."""
        self._step = step
        self._progress = max(self._progress, round(percent * _ENCODING_SHARE, 1))

    def beat(self) -> None:
        """Renew the lease and report, if `_RENEW_EVERY_SEC` have passed.

        Raises:
            LeaseLost: The job was cancelled or taken over.
        """
        if self.clock() - self._renewed_at < _RENEW_EVERY_SEC:
            return
        try:
            self._renew()
            self._report()
        except DATABASE_AWAY as error:
            # A restart of the database need not cost hours of work. If the lease lapses meanwhile,
            # a beat after the restart raises LeaseLost.
            self._renewed_at = self.clock()
            _log.warning("database away, the encode goes on: %s", error)

    def is_lost(self) -> bool:
        """Beat; return True if the job was cancelled or taken over."""
        try:
            self.beat()
        except LeaseLost:
            return True
        return False

    def _renew(self) -> None:
        with session_of(self.services.engine) as session:
            store.renew(
                session,
                self.lease,
                step=self._step,
                progress=self._progress,
                lease_sec=self.services.settings.lease_sec,
            )
        self._renewed_at = self.clock()

    def _report(self) -> None:
        """Send a progress callback if step or percentage changed and the last is old enough.

        A progress callback is never repeated, even if the receiver did not take it.
        """
        now = (self._step, self._progress)
        if now == self._reported or self.clock() < self._report_at:
            return
        with session_of(self.services.engine) as session:
            job = store.get_job(session, self.lease.job_id)
        assert job is not None
        at = datetime.now(UTC)
        answer = self.services.callback_sender.post(
            uuid4(),
            callback_body("job.progress", job, at),
            job.request_id,
            now=at,
            timeout_sec=_REPORT_TIMEOUT_SEC,
        )
        taken = answer is CallbackAnswer.TAKEN
        self._reported = now
        self._report_at = self.clock() + (_REPORT_EVERY_SEC if taken else _SILENT_AFTER_FAILURE_SEC)
