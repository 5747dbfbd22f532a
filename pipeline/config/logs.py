"""Configuration of logs: one JSON object a line, on standard error."""

import logging
import sys
from collections.abc import Iterable

import structlog

from pipeline.config.server_settings import LogSettings
from pipeline.runtime.redaction import Redactor, redact_logs

SERVERS = ("gunicorn.error",)
"""Loggers with handlers of their own."""


def configure_logs(logs: LogSettings, secrets: Iterable[str]) -> None:
    """Send our own logs and the libraries' through one formatter, which lets no secret by."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logs.log_level)
    redact = Redactor(secrets)
    for logger in (root, *map(logging.getLogger, SERVERS)):
        redact_logs(logger, redact)
