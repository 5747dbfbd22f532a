"""Redaction of the settings' secrets in every log of the transcoder's processes."""

import logging
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger

from pipeline.runtime.redaction import Redactor, redact_logs, secrets_of
from transcoder.settings import load_settings


def redact_server_logs() -> None:
    """Redact the logs of the HTTP service; gunicorn sets up its own logger, not the root one."""
    logging.basicConfig()
    _redact(logging.getLogger())
    _redact(logging.getLogger("gunicorn.error"))


def redact_task_logs() -> None:
    """Redact the logs of a Celery process as soon as Celery has set up its loggers."""
    for signal in (after_setup_logger, after_setup_task_logger):
        signal.connect(_on_setup)


def _on_setup(*, logger: logging.Logger, **_: Any) -> None:
    _redact(logger)


def _redact(logger: logging.Logger) -> None:
    redact_logs(logger, Redactor(secrets_of(load_settings())))
