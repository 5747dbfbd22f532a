"""The Celery app of the beat: it publishes signed messages, and needs no database login."""

from pathlib import Path

from celery import Celery
from celery.signals import setup_logging

from khronika_video.own_modules import require_own_modules
from pipeline.config.groups import load_or_exit, load_settings, secrets_in
from pipeline.config.logs import configure_logs
from pipeline.process_settings import BeatSettings
from pipeline.runtime.message_signatures import KEY_SETTING
from pipeline.runtime.task_publishing import SIGNING

app = Celery("khronika", config_source="celeryconfig", amqp=SIGNING)
app.add_defaults(lambda: {KEY_SETTING: load_settings(BeatSettings).message_key})


@app.on_configure.connect
def _require_settings(**_: object) -> None:
    require_own_modules(str(Path.cwd()))  # Celery would import another celeryconfig from it
    load_or_exit(BeatSettings, "beat")


@setup_logging.connect
def _configure(**_: object) -> None:
    settings = load_settings(BeatSettings)
    configure_logs(settings.logs, secrets_in(settings))
