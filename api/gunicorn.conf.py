# ruff: noqa: N999 - the name gunicorn itself looks for
"""How gunicorn serves the API: ``gunicorn -c api/gunicorn.conf.py 'api.app:create_app()'``.

Every line says why. What is set on the command line wins.
"""

import os
import shutil
import sys
import tempfile
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from api.http.slow_clients import close_silent_connections
from api.identity.database_roles import make_engines
from pipeline.config.groups import load_settings
from pipeline.config.process_settings import ApiSettings
from pipeline.providers.active_secrets import SecretsUnreadable, open_book
from pipeline.runtime.filed_settings import SettingsInvalid

try:
    _settings = load_settings(ApiSettings)
except SettingsInvalid as error:
    # Before any worker starts: one that exits is started again, for ever.
    print(f"khronika api: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
    raise SystemExit(1) from None

_engines = make_engines(_settings)
try:
    open_book(
        _settings.media_urls.key,
        _settings.callback_secrets,
        reading=_engines.api,
        seeding=_engines.operator_login,
    ).read_all()
except SecretsUnreadable as error:
    print(f"khronika api: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
    raise SystemExit(1) from None
except SQLAlchemyError:
    # Workers are up before their database is; each of them looks again.
    pass
finally:
    _engines.close()  # no connection survives a fork

bind = f"0.0.0.0:{_settings.media_urls.port}"
"""A container has no other interface; on one machine `--bind 127.0.0.1:…` is given."""
worker_class = "api.http.slow_clients.Worker"
"""gunicorn's threads: requests wait for the database or for bytes to arrive, and threads wait
cheaply."""
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = max(64, 2 * _settings.streams.clients + 2)
"""A stream holds one all its life, and at most half of them: enough for uploads and downloads to
trickle while requests go on."""
graceful_timeout = 20
"""After SIGTERM, what runs may end: longer than any request but a large upload."""
timeout = 60
"""gthread's heartbeat is independent of requests: this only finds a process that hangs."""
keepalive = 5
max_requests = 0
accesslog = None
"""Its lines would hold media tokens, which are in paths. The API logs each request itself."""
control_socket_disable = True
"""A socket that can reconfigure the server is one thing more to guard."""

if workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    # Read by prometheus_client when the application imports it: here is the last moment.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="khronika-metrics-")


def post_fork(_server: Any, worker: Any) -> None:
    """Wait for no client that has fallen silent."""
    close_silent_connections(
        [listening.sock for listening in worker.sockets],
        worker.log.error_log,
        after_sec=_settings.clients.client_patience_sec,
    )


def post_worker_init(worker: Any) -> None:
    """Let open streams end when the worker is told to, and not only with their lives."""
    from api.wiring.services import EXTENSION  # noqa: PLC0415 - not before the metrics' folder is set

    worker.wsgi.extensions[EXTENSION].streams.end_when(lambda: not worker.alive)


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that is gone; its counters stay counted."""
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess  # noqa: PLC0415 - not before the folder is set

        multiprocess.mark_process_dead(worker.pid, folder)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Remove the folder of this run."""
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        shutil.rmtree(folder, ignore_errors=True)
