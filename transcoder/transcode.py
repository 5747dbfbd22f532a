"""One job from claim to callback: the work of the `encode` task."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.exc import OperationalError

from pipeline.media.limits import MediaRefused, check_limits
from pipeline.media.probe import SourceInfo, probe
from pipeline.net.fetch import FetchRefused, GuardedFetcher
from pipeline.storage.base import StorageError
from transcoder import store
from transcoder.callback_delivery import CallbackAnswer
from transcoder.database import transaction
from transcoder.dispatch import DELIVER, ENCODE, Wake
from transcoder.encode.encode_errors import EncodeCancelled, EncodeFailed
from transcoder.encode.encode_source import Encoded, EncodeOptions, encode_source
from transcoder.encode.ladder import short_side_of
from transcoder.job_view import callback_body, error_view
from transcoder.jobs import JobRequest
from transcoder.models import Job, JobStep
from transcoder.result_view import result_view
from transcoder.scratch import encode_slot, reserve, workdir
from transcoder.scratch_space import FULL, needed_bytes
from transcoder.services import TranscoderServices
from transcoder.store import Lease, LeaseLost

_RENEW_EVERY_SEC = 1.0  # also how soon a cancel is noticed
_REPORT_EVERY_SEC = 2.0
_REPORT_TIMEOUT_SEC = 1.0  # a progress callback must not hold the encode up
_SILENT_AFTER_FAILURE_SEC = 30.0
_ENCODING_SHARE = 0.95  # of the percentage; the rest is packaging and publishing

_log = logging.getLogger(__name__)


def transcode(services: TranscoderServices, job_id: UUID) -> list[Wake]:
    """Take up a job and bring it to its end; return what to wake.

    Nothing happens when somebody else has the job, or when every place on this machine or its
    scratch space is taken: the job stays queued, and is woken again when there is room. Safe to
    run twice.
    """
    settings = services.settings
    with encode_slot(settings.scratch, settings.concurrency) as free:
        if not free:
            return []
        with transaction(services.engine) as session:
            job = store.get_job(session, job_id)
        if job is None or not services.has_room(job_id, _request_of(job).needed_bytes):
            return []
        with transaction(services.engine) as session:
            lease = store.claim(session, job_id, settings.lease_sec)
        if lease is None:
            return []
        wakes = _work(services, lease, job)
    with transaction(services.engine) as session:
        return wakes + [Wake(ENCODE, waiting) for waiting in store.queued_job_ids(session, limit=1)]


def _request_of(job: Job) -> JobRequest:
    return JobRequest.model_validate(job.request)


def _work(services: TranscoderServices, lease: Lease, job: Job) -> list[Wake]:
    request = _request_of(job)
    heartbeat = Heartbeat(services, lease, job)
    try:
        with workdir(services.settings.scratch, lease, request.needed_bytes) as folder:
            result = _produce(services, request, heartbeat, folder)
        return _finish(services, "job.completed", lease, result)
    except (LeaseLost, EncodeCancelled):
        _log.info("stopped, no longer ours: %s", lease)
        return []
    except (EncodeFailed, FetchRefused, MediaRefused, StorageError, OSError) as error:
        try:
            return _finish(services, "job.failed", lease, job_error(error))
        except LeaseLost:
            return []


def _produce(
    services: TranscoderServices, request: JobRequest, heartbeat: "Heartbeat", folder: Path
) -> dict[str, Any]:
    settings, source = services.settings, folder / "source"
    with GuardedFetcher(settings.fetch_policy) as fetcher:
        fetcher.download(
            request.source_url,
            source,
            max_bytes=settings.max_bytes,
            on_bytes=lambda _: heartbeat.beat(),
        )
    reserve(folder, needed_bytes(source.stat().st_size))
    heartbeat.enter_step(JobStep.PROBING)
    info = probe(source, services.tools)
    check_limits(info, settings.limits)
    heartbeat.enter_step(JobStep.ENCODING)
    encoded = encode_source(
        source,
        info,
        folder,
        _options(services, request),
        services.tools,
        on_progress=heartbeat.note_encoding,
        cancelled=heartbeat.is_lost,
    )
    heartbeat.enter_step(JobStep.PUBLISHING)
    return _publish(services, request, encoded, info, beat=heartbeat.beat)


def _options(services: TranscoderServices, request: JobRequest) -> EncodeOptions:
    ours, theirs = services.settings.max_profile, request.max_profile
    return EncodeOptions(
        max_profile=ours if theirs is None else min(ours, theirs, key=short_side_of),
        preset=services.settings.preset,
        poster_time_sec=request.poster_time_sec,
        stall_sec=services.settings.stall_sec,
    )


def _publish(
    services: TranscoderServices,
    request: JobRequest,
    encoded: Encoded,
    info: SourceInfo,
    *,
    beat: Callable[[], None],
) -> dict[str, Any]:
    storage = services.storages[request.output.storage]
    published = storage.publish_folder(encoded.outputs, request.output.prefix, beat=beat)
    published += storage.publish_folder(encoded.pictures, request.output.poster_prefix, beat=beat)
    return result_view(request.output, encoded, info, published)


def _finish(
    services: TranscoderServices, kind: str, lease: Lease, outcome: dict[str, Any]
) -> list[Wake]:
    """Write the end and owe its callback, both or neither."""
    callback_id = uuid4()
    write = store.complete if kind == "job.completed" else store.fail
    with transaction(services.engine) as session:
        write(session, lease, outcome)
        job = store.get_job(session, lease.job_id)
        assert job is not None  # a guarded write has just found it
        store.owe_callback(session, callback_id, job, callback_body(kind, job, datetime.now(UTC)))
    return [Wake(DELIVER, callback_id)]


def job_error(error: Exception) -> dict[str, Any]:
    """Turn what went wrong into the code, sentence and verdict that the client gets."""
    if isinstance(error, EncodeFailed):
        return error_view(error.code, error.detail, retryable=error.retryable)
    if isinstance(error, FetchRefused):
        return error_view(error.code, error.detail, retryable=error.transient)
    if isinstance(error, MediaRefused):
        return error_view(error.code, error.detail, retryable=False)
    if isinstance(error, OSError) and error.errno in FULL:
        return error_view("insufficient_space", "The transcoder's disk is full.", retryable=True)
    _log.error("unexpected: %r", error)
    return error_view("encoder_failed", "The transcoder had trouble of its own.", retryable=True)


@dataclass
class Heartbeat:
    """Keeps the lease while the work goes on, and tells the client how far it is.

    Every renewal is one guarded UPDATE that records step and percentage; when it matches nothing,
    the job was cancelled or taken over, and the work stops.
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
        """Enter a step.

        Raises:
            LeaseLost: The job is no longer ours.
        """
        self._step = step
        self._renew()

    def note_encoding(self, step: str, percent: float) -> None:
        """Note how far the encode is; written at the next beat."""
        self._step = step
        self._progress = max(self._progress, round(percent * _ENCODING_SHARE, 1))

    def beat(self) -> None:
        """Renew when it is time to, and report.

        Raises:
            LeaseLost: The job is no longer ours.
        """
        if self.clock() - self._renewed_at < _RENEW_EVERY_SEC:
            return
        try:
            self._renew()
            self._report()
        except OperationalError as error:
            # Hours of work need not die with a restarting database: the lease may have lapsed by
            # the time it is back, and then the next beat says so.
            self._renewed_at = self.clock()
            _log.warning("database away, the encode goes on: %s", error)

    def is_lost(self) -> bool:
        """Beat; tell whether the job is no longer ours."""
        try:
            self.beat()
        except LeaseLost:
            return True
        return False

    def _renew(self) -> None:
        with transaction(self.services.engine) as session:
            store.renew(
                session,
                self.lease,
                step=self._step,
                progress=self._progress,
                lease_sec=self.services.settings.lease_sec,
            )
        self._renewed_at = self.clock()

    def _report(self) -> None:
        """Send a progress callback: when something changed, not too often, and never twice."""
        now = (self._step, self._progress)
        if now == self._reported or self.clock() < self._report_at:
            return
        with transaction(self.services.engine) as session:
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
