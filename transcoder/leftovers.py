"""Removal of leftovers: scratch of killed workers, outputs of failed jobs, rows of old jobs."""

import logging
import shutil
from uuid import UUID

from pipeline.media.own_folder import remove_left_over
from pipeline.media.tool_proof import PROOF
from pipeline.runtime.database import session_of
from transcoder import store
from transcoder.jobs import read_request
from transcoder.models import Job
from transcoder.scratch import abandoned_folders
from transcoder.services import TranscoderServices

_log = logging.getLogger(__name__)


def clean_scratch(services: TranscoderServices, *, dry_run: bool = False) -> int:
    """Remove the folders that killed workers of this machine left; return their bytes."""

    def running_token(job_id: UUID) -> int | None:
        with session_of(services.engine) as session:
            return store.running_token(session, job_id)

    reclaimed = 0
    for claim in abandoned_folders(services.settings.scratch, running_token):
        reclaimed += claim.used_bytes
        if not dry_run:
            shutil.rmtree(claim.folder, ignore_errors=True)
    if not dry_run:
        remove_left_over(PROOF, services.settings.scratch)
    if reclaimed and not dry_run:
        _log.info("reclaimed %d bytes of scratch", reclaimed)
    return reclaimed


def clean_outputs(services: TranscoderServices, *, dry_run: bool = False) -> int:
    """Remove the outputs that jobs without a result may have published; return their bytes."""
    with session_of(services.engine) as session:
        jobs = store.jobs_owing_cleanup(session)
    reclaimed = 0
    clean = _published_bytes if dry_run else _remove
    for job in jobs:
        try:
            reclaimed += clean(services, job)
        except OSError as error:  # another job's may lie in a storage that is well
            _log.error("the outputs of job %s are kept for now: %s", job.id, error)
    if reclaimed and not dry_run:
        _log.info("reclaimed %d bytes of unpublished outputs", reclaimed)
    return reclaimed


def forget_old_jobs(services: TranscoderServices) -> int:
    """Delete jobs that ended `store.KEEP_FOR` ago, with their callbacks; return their number."""
    with session_of(services.engine) as session:
        return store.forget_old_jobs(session)


def _published_bytes(services: TranscoderServices, job: Job) -> int:
    output = read_request(job.request).output
    storage = services.storages.get(output.storage)
    if storage is None:
        return 0
    prefixes = (output.prefix, output.poster_prefix)
    return sum(stat.size_bytes for prefix in prefixes for stat in storage.list(prefix))


def _remove(services: TranscoderServices, job: Job) -> int:
    output = read_request(job.request).output
    reclaimed = 0
    if storage := services.storages.get(output.storage):
        reclaimed += storage.delete_prefix(output.prefix)
        reclaimed += storage.delete_prefix(output.poster_prefix)
    with session_of(services.engine) as session:
        store.mark_cleaned(session, job.id)
    return reclaimed
