"""The Celery app of the worker, and the services of each of its processes."""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_process_init, worker_process_shutdown

from khronika_video.own_modules import require_own_modules
from pipeline.config.groups import load_or_exit, load_settings, secrets_in
from pipeline.config.logs import configure_logs
from pipeline.media.confinement import IsolationMissing, require_isolation
from pipeline.operations.first_start import prepare_first
from pipeline.process_settings import WorkerSettings
from pipeline.runtime.message_signatures import ACCEPTED_SETTING, KEY_SETTING
from pipeline.runtime.task_bounds import TaskBounds
from pipeline.runtime.task_publishing import SIGNING
from pipeline.services import Services, build_services
from worker.progress_limits import wind
from worker.sign_of_life import SignOfLife
from worker.stop_flag import is_stopping

app = Celery(
    "khronika",
    config_source="celeryconfig",
    include=["worker.tasks"],
    amqp=SIGNING,
)


def _message_keys() -> dict[str, object]:
    urls = load_settings(WorkerSettings).media_urls
    return {KEY_SETTING: urls.message_key, ACCEPTED_SETTING: urls.message_keys}


app.add_defaults(_message_keys)


@cache
def services() -> Services:
    """Return the services of this process, made at first use and never before a fork."""
    settings = load_settings(WorkerSettings)
    leases = settings.leases
    prolong = partial(wind, leases.task_soft_limit_sec, leases.task_hard_limit_sec)
    return replace(build_services(settings), bounds=TaskBounds(is_stopping, prolong))


@cache
def sign_of_life() -> SignOfLife:
    """Return the sign of life of this process, made after its fork."""
    return SignOfLife(services().engine, [*app.amqp.queues.consume_from])


@app.on_configure.connect
def _require_settings(**_: object) -> None:
    require_own_modules(str(Path.cwd()))  # Celery would import another celeryconfig from it
    # Before celeryconfig.py, which would list only the problems of the few settings that it reads.
    load_or_exit(WorkerSettings, "worker")


@worker_init.connect
def _require_isolation(**_: object) -> None:
    try:
        require_isolation(load_settings(WorkerSettings).sources.isolation_waive)
    except IsolationMissing as error:
        raise SystemExit(f"khronika worker: {error}") from None


@worker_process_init.connect
def _start_fresh(**_: object) -> None:
    # Connections do not survive a fork: two processes would read each other's answers.
    services.cache_clear()
    prepare_first(services())
    # A machine whose ffmpeg or ffprobe does not work takes no work, and says so in its log.
    services().host.judge(services().tools)
    sign_of_life().start()


@worker_process_shutdown.connect
def _say_goodbye(**_: object) -> None:
    sign_of_life().stop()


@setup_logging.connect
def _configure(**_: object) -> None:
    settings = load_settings(WorkerSettings)
    configure_logs(settings.logs, secrets_in(settings))
