"""The Celery app: what every process of the worker has, made after the fork."""

from functools import cache

from celery import Celery
from celery.signals import setup_logging, worker_process_init

from pipeline.config.logs import configure_logs
from pipeline.config.settings import load_settings
from pipeline.services import Services, build_services

app = Celery(
    "khronika",
    config_source="celeryconfig",
    include=["worker.tasks"],
)


@cache
def services() -> Services:
    """The outside world of this process, made at first use and never before a fork."""
    return build_services(load_settings())


@worker_process_init.connect
def _start_fresh(**_: object) -> None:
    # Connections do not survive a fork: two processes would read each other's answers.
    services.cache_clear()


@setup_logging.connect
def _configure(**_: object) -> None:
    configure_logs(load_settings())
