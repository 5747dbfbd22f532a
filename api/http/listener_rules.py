"""The rules about the connection of a request: its client's machine, and the listener it came by.

Both are read from the socket, so that no header changes them.
"""

from http import HTTPStatus

from apiflask import APIFlask
from flask import request
from werkzeug.exceptions import NotFound

from api.http.problems import Problem
from pipeline.net.listeners import ListenAddress, comes_from_here

INTERNAL = ("/metrics", "/docs", "/openapi.json", "/ops")
"""The pages of operators: these paths, and all paths below them."""


def register(app: APIFlask, *, is_development: bool, internal: ListenAddress | None) -> None:
    """Hold every request to the rules, before its path is looked up.

    Args:
        is_development: True serves clients on this machine alone.
        internal: The listener that alone serves the pages of operators; None lets every listener
            serve them.
    """
    if is_development:
        app.before_request(_refuse_other_machines)
    if internal is not None:
        app.before_request(lambda: _hide_internal_pages(internal))


def _refuse_other_machines() -> None:
    if not comes_from_here(request.environ):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "development_only",
            "This API runs with development settings and serves its own machine alone. Set "
            "KHRONIKA_ENV=production to serve others.",
        )


def _hide_internal_pages(internal: ListenAddress) -> None:
    """Answer as if the page did not exist: as the application, not as the console would."""
    is_internal = any(
        request.path == page or request.path.startswith(f"{page}/") for page in INTERNAL
    )
    if is_internal and not internal.is_end_of(request.environ):
        request.url_rule = None
        raise NotFound
