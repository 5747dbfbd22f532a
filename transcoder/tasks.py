"""The transcoder's Celery tasks: an id in, one use case, what it returned sent on.

celery -A transcoder.tasks worker --queues transcode,transcoder-sweep
celery -A transcoder.tasks beat
"""

from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import worker_process_init

from transcoder import callback_delivery, leftovers, log_redaction, sweep, transcode
from transcoder.dispatch import DELIVER, ENCODE, SWEEP
from transcoder.services import process_services

app = Celery("transcoder")
app.config_from_object("transcoder.celeryconfig")
log_redaction.redact_task_logs()


@worker_process_init.connect
def start_clean(**_: Any) -> None:
    """Remove what killed workers left, as soon as this one can see the rows."""
    leftovers.clean_scratch(process_services())


@app.task(name=ENCODE)
def encode(job_id: str) -> None:
    """Bring one job to its end."""
    services = process_services()
    services.dispatcher.send(transcode.transcode(services, UUID(job_id)))


@app.task(name=DELIVER)
def deliver(callback_id: str) -> None:
    """Try one callback."""
    services = process_services()
    callback_delivery.deliver_callback(services.engine, services.callback_sender, UUID(callback_id))


@app.task(name=SWEEP)
def sweep_all() -> None:
    """Find everything that is due."""
    services = process_services()
    services.dispatcher.send(sweep.sweep(services))
