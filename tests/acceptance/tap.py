"""A reverse proxy before the API that writes down every callback that passes, and its answer.

The provider is told to call back here; what it sends is forwarded byte for byte, and what the API
answers goes back unchanged. Everything else passes unrecorded, so that the tap can also stand
where a public address leads.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import requests
from flask import Flask, Response, request

from tests.acceptance.exchanges import TIMEOUT_SEC, Exchange
from tests.acceptance.serving import served

WEBHOOK = "/api/video-assets/webhook"
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length", "host"}
)
"""Of one connection and not of the message (RFC 9110, 7.6.1), or set anew by requests."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
PATIENCE_SEC = 240.0


class Tap:
    """What has passed.

    Attributes:
        url: Where it listens.
        upstream: The API; set once that is up, before anything can call back.
    """

    def __init__(self) -> None:
        self.url = ""
        self.upstream = ""
        self._recorded: list[Exchange] = []
        self._changed = threading.Condition()

    def callbacks(self, job_id: str) -> list[Exchange]:
        """Every callback about this job so far, in the order they were answered."""
        with self._changed:
            return [one for one in self._recorded if one.document["data"]["job"]["id"] == job_id]

    def await_callback(self, job_id: str, type_: str) -> Exchange:
        """The first callback of this type about this job, once it has been answered.

        Raises:
            TimeoutError: it does not come.
        """
        return self._await(
            lambda: next(
                (one for one in self.callbacks(job_id) if one.document["type"] == type_), None
            ),
            f"no {type_} of job {job_id}",
        )

    def _await(self, find: Callable[[], Exchange | None], otherwise: str) -> Exchange:
        deadline = time.monotonic() + PATIENCE_SEC
        with self._changed:
            while (found := find()) is None:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{otherwise} within {PATIENCE_SEC:.0f} s")
        return found

    def record(self, exchange: Exchange) -> None:
        """Write an exchange down and tell whoever waits for it."""
        with self._changed:
            self._recorded.append(exchange)
            self._changed.notify_all()


@contextmanager
def open_tap(port: int = 0) -> Iterator[Tap]:
    """Listen on loopback; any free port by default."""
    tap = Tap()
    with served(_app(tap), port) as tap.url:
        yield tap


def _app(tap: Tap) -> Flask:
    app = Flask(__name__)

    @app.route("/", defaults={"_path": ""}, methods=METHODS)
    @app.route("/<path:_path>", methods=METHODS)
    def forward(_path: str) -> Response:
        exchange = _forwarded(tap.upstream)
        if request.method == "POST" and request.path.startswith(WEBHOOK):
            tap.record(exchange)
        kept = {k: v for k, v in exchange.answer_headers.items() if k.lower() not in HOP_BY_HOP}
        return Response(exchange.answer_body, exchange.status, kept)

    return app


def _forwarded(upstream: str) -> Exchange:
    sent_at, body = datetime.now(UTC), request.get_data()
    headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
    path = request.full_path.removesuffix("?")
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(
            request.method,
            f"{upstream}{path}",
            headers=headers,
            data=body,
            timeout=TIMEOUT_SEC,
            allow_redirects=False,
        )
    return Exchange(
        sent_at=sent_at,
        method=request.method,
        path=path,
        headers=headers,
        body=body,
        answered_at=datetime.now(UTC),
        status=answer.status_code,
        answer_headers=answer.headers,
        answer_body=answer.content,
    )
