"""The Celery app of the beat and of Flower: they run no task and need no database login."""

from celery import Celery
from celery.signals import setup_logging

from pipeline.config.groups import load_settings, secrets_in
from pipeline.config.logs import configure_logs
from pipeline.process_settings import BeatSettings

app = Celery("khronika", config_source="celeryconfig")


@setup_logging.connect
def _configure(**_: object) -> None:
    settings = load_settings(BeatSettings)
    configure_logs(settings.logs, secrets_in(settings))
