"""The path below which a proxy publishes the API, such as ``/video`` of ``https://site.example/video``.

It is read from our settings and from no header: a proxy that passes a client's header on must not
make it ours. The proxy may remove the prefix from a request or leave it.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from apiflask import APIFlask
from flask import request

from pipeline.net.listeners import ListenAddress

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def register(
    app: APIFlask, *, public_url: str, internal_url: str, internal: ListenAddress | None
) -> None:
    """Serve the application below the paths of its addresses; call it after the last route.

    Args:
        public_url: The API's address for its clients.
        internal_url: The address of the operators' listener.
        internal: That listener; None if there is none.
    """
    prefixes = prefix_of(public_url), prefix_of(internal_url)
    app.jinja_env.globals["prefix"] = _prefix
    if any(prefixes):
        app.wsgi_app = _PathPrefix(app, *prefixes, internal)  # type: ignore[method-assign,assignment]


def prefix_of(url: str) -> str:
    """Return the path of an address with no slash at its end, as WSGI spells it."""
    return unquote(urlsplit(url).path).rstrip("/").encode().decode("latin-1")


def here(path: str) -> str:
    """Return a path of ours as the client of this request reaches it."""
    return _prefix() + path


def _prefix() -> str:
    return quote(request.script_root)


class _PathPrefix:
    """A WSGI application that tells another one the path below which it is published."""

    def __init__(
        self, app: APIFlask, public: str, internal: str, listener: ListenAddress | None
    ) -> None:
        self._app = app
        self._next: WSGIApplication = app.wsgi_app
        self._public, self._internal, self._listener = public, internal, listener

    @cached_property
    def _ours(self) -> frozenset[str]:
        """The first segments of our routes."""
        return frozenset(rule.rule.split("/")[1] for rule in self._app.url_map.iter_rules())

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        is_internal = self._listener is not None and self._listener.is_end_of(environ)
        prefix = self._internal if is_internal else self._public
        environ["SCRIPT_NAME"] = prefix
        environ["PATH_INFO"] = self._without(prefix, environ.get("PATH_INFO", ""))
        return self._next(environ, start)

    def _without(self, prefix: str, path: str) -> str:
        """Return the path of a route; a proxy that has removed the prefix leaves nothing to do.

        The prefix may be the first segment of a route of ours, such as ``/api``.
        """
        rest = path.removeprefix(prefix)
        return rest if rest.startswith("/") and rest.split("/")[1] in self._ours else path
