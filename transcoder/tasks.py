"""Celery tasks of the transcoder: each calls one use case and sends the wakes it returns.

celery -A transcoder.tasks worker --queues transcode,transcoder-sweep
"""

import os
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import worker_init, worker_process_init

from pipeline.media.confinement import IsolationMissing, require_isolation
from pipeline.media.ffmpeg_needs import NeedsMissing, require_needs
from pipeline.media.tools import ToolsMissing, locate_tools
from pipeline.runtime.task_publishing import SIGNING
from transcoder import callback_delivery, leftovers, log_redaction, sweep, transcode
from transcoder.services import process_services
from transcoder.settings import load_or_exit, load_settings
from transcoder.task_names import DELIVER, ENCODE, SWEEP

app = Celery("transcoder", amqp=SIGNING)
app.config_from_object("transcoder.celeryconfig")
log_redaction.redact_task_logs(load_settings)


@app.on_configure.connect
def require_settings(**_: Any) -> None:
    """Stop the start with wrong settings, before celeryconfig.py, which reads a part of them."""
    load_or_exit()


@worker_init.connect
def require_jail(**_: Any) -> None:
    """Stop the start on a machine that cannot isolate ffmpeg."""
    try:
        require_isolation(load_settings().isolation_waive)
    except IsolationMissing as error:
        raise SystemExit(f"khronika transcoder: {error}") from None


@worker_init.connect
def require_ffmpeg(**_: Any) -> None:
    """Stop the start with an ffmpeg that lacks a filter, a codec or an option that is used."""
    try:
        require_needs(locate_tools(os.environ))
    except (NeedsMissing, ToolsMissing, OSError) as error:
        raise SystemExit(f"khronika transcoder: {error}") from None


@worker_process_init.connect
def start_clean(**_: Any) -> None:
    """Prove this machine's encoder and disk, and remove the folders that killed workers left."""
    services = process_services()
    if services.host.judge(services.tools) is None:
        leftovers.clean_scratch(services)


@app.task(name=ENCODE)
def encode(job_id: str) -> None:
    """Encode one job."""
    services = process_services()
    services.wake(transcode.transcode(services, UUID(job_id)))


@app.task(name=DELIVER)
def deliver(callback_id: str) -> None:
    """Try one callback once."""
    services = process_services()
    callback_delivery.deliver_callback(services.engine, services.callback_sender, UUID(callback_id))


@app.task(name=SWEEP)
def sweep_all() -> None:
    """Find and wake all due work."""
    services = process_services()
    services.wake(sweep.sweep(services))
