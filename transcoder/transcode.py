"""Work of the `encode` task: one job from claim to callback."""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from pipeline.media.probe import probe
from pipeline.media.source_limits import OF_TOOLS, MediaRefused, check_limits
from pipeline.net.fetch import FetchRefused, GuardedFetcher
from pipeline.runtime.database import session_of
from pipeline.runtime.wakes import Wake
from pipeline.storage.base import StorageError
from transcoder import store
from transcoder.encode.encode_errors import EncodeCancelled, EncodeFailed
from transcoder.encode.encode_source import Encoded, EncodeOptions, encode_source
from transcoder.encode.ladder import short_side_of
from transcoder.encode.output_check import check_outputs
from transcoder.heartbeat import Heartbeat
from transcoder.job_view import callback_body, error_view
from transcoder.jobs import JobRequest, read_request
from transcoder.models import Job, JobStep
from transcoder.result_view import result_view
from transcoder.scratch import encode_slot, reserve, whole_machine, workdir
from transcoder.scratch_space import FULL, needed_bytes
from transcoder.services import TranscoderServices
from transcoder.storage_faults import StorageUnavailable, blaming_the_storage
from transcoder.store import Lease, LeaseLost
from transcoder.stored_source_copy import copy_source
from transcoder.task_names import wake_deliver, wake_encode

_log = logging.getLogger(__name__)


JOB_ERRORS = (
    EncodeFailed,
    FetchRefused,
    MediaRefused,
    StorageError,
    StorageUnavailable,
    OSError,
)
"""Errors that end a job."""


def transcode(services: TranscoderServices, job_id: UUID) -> list[Wake]:
    """Claim a job, encode it and record its end; return the tasks to wake.

    The function returns at once if another worker has the job. It also does so if all encode slots
    or the scratch space of this machine are taken, or if its ffmpeg does not work: the job stays
    queued, and the next finished encode or the sweep wakes it again. Safe to run twice.

    A job whose earlier worker was lost runs alone on its machine. If it is the cause, no other job
    is charged for the next crash.
    """
    if not services.host.takes_work(services.tools):
        return []
    with session_of(services.engine) as session:
        job = store.get_job(session, job_id)
    if job is None:
        return []
    try:
        return _work_if_free(services, job)
    except OSError as error:  # before the claim: nothing is charged to the job
        _log.error("the scratch folder cannot be used: %s", error)
        services.host.judge(services.tools)
        return []


def _work_if_free(services: TranscoderServices, job: Job) -> list[Wake]:
    settings = services.settings
    room = whole_machine if job.claims > 0 else encode_slot
    with room(settings.scratch, settings.concurrency) as free:
        if not free or not services.has_room(job.id, _request_of(job).needed_bytes):
            return []
        with session_of(services.engine) as session:
            lease = store.claim(session, job.id, settings.lease_sec)
        if lease is None:
            return []
        wakes = _work(services, lease, job)
    with session_of(services.engine) as session:
        return wakes + [wake_encode(waiting) for waiting in store.queued_job_ids(session, limit=1)]


def _request_of(job: Job) -> JobRequest:
    return read_request(job.request)


def _work(services: TranscoderServices, lease: Lease, job: Job) -> list[Wake]:
    request = _request_of(job)
    heartbeat = Heartbeat(services, lease, job)
    try:
        with workdir(services.settings.scratch, lease, request.needed_bytes) as folder:
            result = _produce(services, request, heartbeat, folder)
        return _finish(services, "job.completed", lease, result)
    except (LeaseLost, EncodeCancelled):
        _log.info("stopped, the job was cancelled or taken over: %s", lease)
        return []
    except JOB_ERRORS as error:
        with suppress(LeaseLost):
            return _end(services, lease, error)
        return []


def _end(services: TranscoderServices, lease: Lease, error: Exception) -> list[Wake]:
    """Fail a job, or hand it back if this machine's ffmpeg turns out not to work."""
    if _may_be_the_hosts(error) and services.host.judge(services.tools) is not None:
        with session_of(services.engine) as session:
            store.hand_back(session, lease)
        return []
    return _finish(services, "job.failed", lease, job_error(error))


def _may_be_the_hosts(error: Exception) -> bool:
    """Return True for a failure that a broken ffmpeg, ffprobe or scratch disk would cause, too."""
    if isinstance(error, MediaRefused):
        return error.code in OF_TOOLS
    if isinstance(error, EncodeFailed):
        return error.code != "insufficient_space"
    if isinstance(error, StorageUnavailable):
        return True  # a link or a copy needs the scratch disk, too
    return isinstance(error, OSError) and error.errno not in FULL


def _produce(
    services: TranscoderServices, request: JobRequest, heartbeat: Heartbeat, folder: Path
) -> dict[str, Any]:
    settings, source = services.settings, folder / "source"
    _bring(services, request, heartbeat, source)
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
    check_outputs(encoded)
    heartbeat.enter_step(JobStep.PUBLISHING)
    return _publish(services, request, encoded, beat=heartbeat.beat)


def _bring(
    services: TranscoderServices, request: JobRequest, heartbeat: Heartbeat, to: Path
) -> None:
    """Copy the source to scratch, from its storage or from its server."""
    most = services.settings.max_bytes
    if request.source is not None:
        storage = services.storages[request.source.storage]
        copy_source(
            storage,
            request.source.key,
            to,
            max_bytes=most,
            version=request.version,
            beat=heartbeat.beat,
        )
        return
    assert request.source_url is not None
    with GuardedFetcher(services.settings.fetch_policy) as fetcher:
        fetcher.download(
            request.source_url,
            to,
            max_bytes=most,
            version=request.version,
            on_bytes=lambda _: heartbeat.beat(),
        )


def _options(services: TranscoderServices, request: JobRequest) -> EncodeOptions:
    ours, theirs = services.settings.max_profile, request.max_profile
    return EncodeOptions(
        max_profile=ours if theirs is None else min(ours, theirs, key=short_side_of),
        preset=services.settings.preset,
        poster_time_sec=request.poster_time_sec,
        stall_sec=services.settings.stall_sec,
        limits=services.settings.limits,
        loudness_lufs=services.settings.loudness_lufs,
    )


def _publish(
    services: TranscoderServices,
    request: JobRequest,
    encoded: Encoded,
    *,
    beat: Callable[[], None],
) -> dict[str, Any]:
    storage = services.storages[request.output.storage]
    with blaming_the_storage():
        published = storage.publish_folder(encoded.outputs, request.output.prefix, beat=beat)
        pictures = storage.publish_folder(encoded.pictures, request.output.poster_prefix, beat=beat)
    published += pictures
    return result_view(request.output, encoded, published)


def _finish(
    services: TranscoderServices, kind: str, lease: Lease, outcome: dict[str, Any]
) -> list[Wake]:
    """Record the end of a job and insert its callback, in one transaction."""
    callback_id = uuid4()
    write = store.complete if kind == "job.completed" else store.fail
    with session_of(services.engine) as session:
        write(session, lease, outcome)
        job = store.get_job(session, lease.job_id)
        assert job is not None  # the guarded write above matched it
        store.owe_callback(session, callback_id, job, callback_body(kind, job, datetime.now(UTC)))
    return [wake_deliver(callback_id)]


def job_error(error: Exception) -> dict[str, Any]:
    """Translate an exception into the error of a job: code, message, retryable or not."""
    if isinstance(error, EncodeFailed):
        return error_view(error.code, error.detail, retryable=error.retryable)
    if isinstance(error, FetchRefused):
        return error_view(error.code, error.detail, retryable=error.transient)
    if isinstance(error, MediaRefused):
        return error_view(error.code, error.detail, retryable=False)
    if isinstance(error, StorageUnavailable):
        _log.error("storage unavailable: %s", error)
        return error_view(
            "storage_unavailable", "The storage cannot be read or written.", retryable=True
        )
    if isinstance(error, OSError):
        return _machine_error(error)
    _log.error("unexpected: %r", error)
    return error_view("encoder_failed", "The transcoder had an internal error.", retryable=True)


def _machine_error(error: OSError) -> dict[str, Any]:
    """Translate a failure of this machine's own disk."""
    if error.errno in FULL:
        return error_view("insufficient_space", "The transcoder's disk is full.", retryable=True)
    _log.error("this machine failed: %r", error)
    return error_view("host_unfit", "The transcoder's machine failed.", retryable=True)
