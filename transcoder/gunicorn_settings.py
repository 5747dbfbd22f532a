"""Settings of the transcoder's gunicorn that its command line does not show."""

import sys
from typing import Any

from pipeline.net.bounded_worker import REFUSAL, runs_bounded_workers
from pipeline.net.client_bounds import most_connections
from pipeline.net.listeners import foreign_listeners, refuse_listeners
from transcoder.settings import load_or_exit


def on_starting(server: Any) -> None:
    """Refuse wrong settings before any worker starts: gunicorn would restart one for ever."""
    load_or_exit()
    if not runs_bounded_workers(server):
        sys.stderr.write(f"khronika transcoder: {REFUSAL}\n")
        raise SystemExit(1)


def when_ready(server: Any) -> None:
    """Refuse listeners that development forbids; no worker runs yet."""
    foreign = foreign_listeners(listening.sock for listening in server.LISTENERS)
    if load_or_exit().is_development and foreign:
        sys.stderr.write(f"khronika transcoder: {refuse_listeners(foreign)}\n")
        raise SystemExit(1)


worker_class = "pipeline.net.bounded_worker.BoundedWorker"
"""Worker with threads that no slow client occupies for long; its default bounds apply."""
worker_connections = most_connections()
sendfile = False
"""Every byte passes our own socket, which bounds the time of waiting for the client."""


# The transcoder's clients call it directly. By default gunicorn lets every client on this machine
# choose the scheme, the path (SCRIPT_NAME, PATH_INFO) and other variables of a request.
forwarded_allow_ips = ""
"""No address may set a header for gunicorn; a peer on a Unix socket may, whatever this says."""
secure_scheme_headers: dict[str, str] = {}
"""No header is the scheme of a request."""
forwarder_headers = ""
"""No header replaces a variable of the request."""
header_map = "drop"
"""A header with an underscore is removed: it would be read as the one with a hyphen."""
