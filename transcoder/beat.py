"""The Celery app of the transcoder's beat: it signs messages, and has no login and no storage.

celery -A transcoder.beat beat
"""

from celery import Celery

from pipeline.runtime.task_publishing import SIGNING
from transcoder import log_redaction
from transcoder.settings import load_beat_settings

app = Celery("transcoder", amqp=SIGNING)
app.config_from_object("transcoder.celeryconfig")
log_redaction.redact_task_logs(load_beat_settings)
