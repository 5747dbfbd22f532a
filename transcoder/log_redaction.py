"""Logs of the transcoder's processes: whatever writes them, no secret of its settings gets by."""

import logging
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger

from pipeline.net.redaction import Redactor, redact_logs, secrets_of
from transcoder.settings import load_settings


def redact_server_logs() -> None:
    """For the HTTP service, where gunicorn has set up the one logger and nobody the other."""
    logging.basicConfig()
    _redact(logging.getLogger())
    _redact(logging.getLogger("gunicorn.error"))


def redact_task_logs() -> None:
    """For Celery's processes, once Celery has set up their loggers."""
    for signal in (after_setup_logger, after_setup_task_logger):
        signal.connect(_on_setup)


def _on_setup(*, logger: logging.Logger, **_: Any) -> None:
    _redact(logger)


def _redact(logger: logging.Logger) -> None:
    redact_logs(logger, Redactor(secrets_of(load_settings())))
