"""The Celery app of Flower: it reads events, and has no key for messages that a worker takes."""

from celery import Celery
from celery.signals import setup_logging

from pipeline.config.groups import load_settings, secrets_in
from pipeline.config.logs import configure_logs
from pipeline.process_settings import FlowerSettings

app = Celery("khronika", config_source="celeryconfig")


@setup_logging.connect
def _configure(**_: object) -> None:
    settings = load_settings(FlowerSettings)
    configure_logs(settings.logs, secrets_in(settings))
