"""Redaction of the settings' secrets in every log of the transcoder's processes."""

import logging
from collections.abc import Callable
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger

from pipeline.runtime.redaction import Redactor, redact_logs, secrets_of
from transcoder.settings import TranscoderBeatSettings, load_settings


def redact_server_logs() -> None:
    """Redact the logs of the HTTP service; gunicorn sets up its own logger, not the root one."""
    logging.basicConfig()
    settings = load_settings()
    for logger in (logging.getLogger(), logging.getLogger("gunicorn.error")):
        redact_logs(logger, Redactor(secrets_of(settings)))


def redact_task_logs(load: Callable[[], TranscoderBeatSettings]) -> None:
    """Redact the logs of a Celery process as soon as Celery has set up its loggers.

    Args:
        load: Reads the settings of the process.
    """

    def redact(*, logger: logging.Logger, **_: Any) -> None:
        redact_logs(logger, Redactor(secrets_of(load())))

    for signal in (after_setup_logger, after_setup_task_logger):
        signal.connect(redact, weak=False)
