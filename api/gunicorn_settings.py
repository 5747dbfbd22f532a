"""Settings of gunicorn: ``gunicorn --config python:api.gunicorn_settings 'api.app:create_app()'``.

Options on the command line override them, except the class of the workers.
"""

import os
import shutil
import sys
import tempfile
from ipaddress import IPv4Address
from typing import Any

from gunicorn.sock import TCP6Socket, TCPSocket  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError

from api.identity.database_roles import make_engines
from pipeline.config.groups import load_or_exit
from pipeline.media.confinement import IsolationMissing, require_isolation
from pipeline.net.bounded_worker import REFUSAL, runs_bounded_workers
from pipeline.net.client_bounds import most_connections
from pipeline.net.listeners import ListenAddress, foreign_listeners, refuse_listeners
from pipeline.process_settings import ApiSettings
from pipeline.providers.active_secrets import SecretsUnreadable, open_book

# Exit before any worker starts: gunicorn would restart an exiting worker for ever.
_settings = load_or_exit(ApiSettings, "api")
try:
    require_isolation(_settings.sources.isolation_waive)
except IsolationMissing as error:
    print(f"khronika api: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
    raise SystemExit(1) from None

_engines = make_engines(_settings)
try:
    open_book(
        _settings.media_urls.accepted_keys,
        _settings.callback_secrets,
        first=_settings.accounts.first_secrets,
        reading=_engines.api,
        seeding=_engines.operator_login,
    ).read_all()
except SecretsUnreadable as error:
    print(f"khronika api: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
    raise SystemExit(1) from None
except SQLAlchemyError:
    # Workers may start before their database; each of them reads the secrets again.
    pass
finally:
    _engines.close()  # no connection survives a fork

_is_development = _settings.deployment.is_development
_host = "127.0.0.1" if _is_development else "0.0.0.0"  # noqa: S104
bind = f"{_host}:{_settings.media_urls.port}"
"""All interfaces, for containers; on one machine `--bind 127.0.0.1:…` overrides it."""
worker_class = "pipeline.net.bounded_worker.BoundedWorker"
"""Worker with threads, because requests mostly wait for the database. No option of a command line
may replace it: gunicorn's own workers wait for slow clients in their threads."""
worker_connections = most_connections()
"""Connections of one process; they cost no thread while they wait."""
sendfile = False
"""Every byte passes our own socket, which bounds the time of waiting for the client."""
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
_bounded = sum(value for _, value in _settings.work)
threads = _settings.streams.clients + _bounded + 16
"""Streams and the bounded work may hold a thread for long, such as while the storage does not
answer; 16 threads are left for all other requests."""
graceful_timeout = 20
"""Seconds for running requests to end after SIGTERM: longer than any request but a large upload."""
timeout = 60
"""Seconds without a heartbeat, which is independent of requests; finds a process that hangs."""
keepalive = 5
max_requests = 0
accesslog = None
"""No access log: its paths would hold media tokens. The API logs each request itself."""
control_socket_disable = True
"""No control socket: a socket that can reconfigure the server would need protection."""

# A proxy's headers are read by api/http/client_address.py alone, from as many proxies as
# KHRONIKA_PROXIES counts. By default gunicorn reads some itself, of every client on this machine:
# such a client could name the path (SCRIPT_NAME, PATH_INFO) and the scheme of its request.
forwarded_allow_ips = ""
"""No address may set a header for gunicorn; a peer on a Unix socket may, whatever this says."""
secure_scheme_headers: dict[str, str] = {}
"""No header is the scheme of a request for gunicorn."""
forwarder_headers = ""
"""No header replaces a variable of the request."""
header_map = "drop"
"""A header with an underscore is removed: it would be read as the one with a hyphen."""

if workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    # prometheus_client reads it at its import by the application, which is later.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="khronika-metrics-")


def on_starting(server: Any) -> None:
    """Refuse another class of worker, whatever names it."""
    if not runs_bounded_workers(server):
        print(f"khronika api: {REFUSAL}", file=sys.stderr)  # noqa: T201 - for the operator
        raise SystemExit(1)


def when_ready(server: Any) -> None:
    """Open the listener of the operators' pages; refuse listeners that development forbids.

    No worker runs yet, so no request has been answered. A listener that a parent process or
    systemd passed is found in the list, whatever `bind` says.
    """
    if internal := _settings.internal.internal_bind:
        _open_listener(server, internal)
    sockets = [listening.sock for listening in server.LISTENERS]
    if _is_development and (foreign := foreign_listeners(sockets)):
        refusal = refuse_listeners(foreign)
        print(f"khronika api: {refusal}", file=sys.stderr)  # noqa: T201 - for the operator
        raise SystemExit(1)


def _open_listener(server: Any, address: ListenAddress) -> None:
    if any(address.is_name_of(listening.sock.getsockname()) for listening in server.LISTENERS):
        return  # inherited from the gunicorn that this one replaces
    opened = TCPSocket if isinstance(address.host, IPv4Address) else TCP6Socket
    try:
        server.LISTENERS.append(opened((str(address.host), address.port), server.cfg, server.log))
    except OSError as error:
        print(  # noqa: T201 - for the operator
            f"khronika api: KHRONIKA_INTERNAL_BIND: cannot listen there: {error.strerror}",
            file=sys.stderr,
        )
        raise SystemExit(1) from None


def post_fork(_server: Any, worker: Any) -> None:
    """Bound the time of clients."""
    worker.bounds = _settings.clients.bounds


def post_worker_init(worker: Any) -> None:
    """End open streams when the worker has to stop."""
    from api.wiring.services import EXTENSION  # noqa: PLC0415 - needs the metrics' folder

    worker.wsgi.extensions[EXTENSION].streams.end_when(lambda: not worker.alive)


def child_exit(_server: Any, worker: Any) -> None:
    """Remove the gauges of an ended worker; its counters stay."""
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess  # noqa: PLC0415 - needs the metrics' folder

        multiprocess.mark_process_dead(worker.pid, folder)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Remove the metrics' folder of this run."""
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        shutil.rmtree(folder, ignore_errors=True)
