"""A fake of the API at the socket: answers that the test sets, in documents of the real schemas.

It serves the real ``web/``."""

import json
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.serving import make_server

from api.access.cors import ALLOWED, EXPOSED
from api.documents.schemas import AssetOut, CardOut
from api.routes import web
from pipeline.domain.states import Status

NAMESPACE = UUID("5c0f3a52-7d0e-4c55-9c8f-0d1b3f5c6f11")
TOKEN = "owner-token"
UNVERIFIED = "token-of-an-issuer-that-is-away"
STARTED_AT = datetime.now(UTC) + timedelta(hours=1)
"""The default ``updated_at`` of documents. It is later than every test: a document that has not
changed for ten minutes counts as slow, and a test is collected long before it runs."""
UPDATED_AT = STARTED_AT.isoformat()
LONG_AGO = "2026-01-02T03:04:05+00:00"
STREAM_POLL_SEC = 0.05
SITE_STYLE = """
:root { color-scheme: light dark }
body { margin: 0 }
main { display: grid; gap: 8px; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)) }
h1 { grid-column: 1 / -1; margin: 0; font-size: 16px }
khronika-video:not(:defined) {
  display: block;
  max-block-size: 75vh;
  aspect-ratio: 16 / 9;
  aspect-ratio: attr(width type(<number>), 16) / attr(height type(<number>), 9);
}
"""


def later(seconds: float) -> str:
    """Return the instant that is this long after the default ``updated_at``."""
    return (STARTED_AT + timedelta(seconds=seconds)).isoformat()


def post_id(name: str) -> str:
    """Return the id of the post with this name, the same in every run."""
    return str(uuid5(NAMESPACE, f"post {name}"))


def card(name: str, status: str = "completed", **changes: Any) -> dict[str, Any]:
    """Make the public card of the post with this name."""
    plain: dict[str, Any] = {
        "asset_id": uuid5(NAMESPACE, f"asset {name}"),
        "post_id": post_id(name),
        "playback": "public",
        "status": status,
        "source": "processed" if changes.get("playable") else "none",
        "playable": False,
        "updated_at": UPDATED_AT,
    }
    nothing = dict.fromkeys(CardOut.model_fields.keys() - plain.keys())
    document = CardOut.model_validate({**nothing, **plain, **changes})
    return document.model_dump(mode="json")


def asset(name: str, status: str = "completed", **changes: Any) -> dict[str, Any]:
    """Make the owner's document of the same video."""
    plain: dict[str, Any] = {
        "id": uuid5(NAMESPACE, f"asset {name}"),
        "post_id": post_id(name),
        "owner_id": "ana",
        "playback": "public",
        "allow_original": False,
        "status": status,
        "generation": 1,
        "attempt": 1,
        "max_attempts": 5,
        "provider": "selfhosted",
        "playable": False,
        "created_at": UPDATED_AT,
        "updated_at": UPDATED_AT,
        "warnings": [],
    }
    nothing = dict.fromkeys(AssetOut.model_fields.keys() - plain.keys())
    document = AssetOut.model_validate({**nothing, **plain, **changes})
    return document.model_dump(mode="json")


@dataclass
class FakeApi:
    """A fake of the API: the test sets its answers and reads the requests.

    Attributes:
        media: A folder whose files are at ``/media/``.
        redirects: Addresses that names below ``/media/`` lead to, as stable addresses do.
        held: Names below ``/media/`` that are never answered.
        cards: Public cards by post.
        assets: The owner's documents by post, for requests with the token.
        retry: Status, body and headers of the answer to a retry; None queues the video again.
        streams: There is room for one more stream.
        refusal: Status and headers with which cards are refused; None answers them.
        asked: The count of requests, by method and path.
        conditional: The count of requests for cards with an ETag.
        stream_queries: The query of each stream.
        last_event_ids: The Last-Event-ID of each stream.
        sent_ids: The ids of the events that were sent.
    """

    media: Path
    url: str = ""
    site_page: str = ""
    site_policy: str = ""
    redirects: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    assets: dict[str, dict[str, Any]] = field(default_factory=dict)
    retry: tuple[int, dict[str, Any], dict[str, str]] | None = None
    streams: bool = True
    refusal: tuple[int, dict[str, str]] | None = None
    asked: Counter[str] = field(default_factory=Counter)
    conditional: int = 0
    stream_queries: list[dict[str, str]] = field(default_factory=list)
    last_event_ids: list[str | None] = field(default_factory=list)
    sent_ids: list[str] = field(default_factory=list)
    open_streams: list[queue.Queue[str]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def put(self, *documents: dict[str, Any]) -> None:
        """Add or replace these documents."""
        for document in documents:
            kind = self.assets if "owner_id" in document else self.cards
            kind[document["post_id"]] = document

    def send(self, event: str, data: dict[str, Any]) -> None:
        """Send an event over every open stream."""
        self.sent_ids.append(f"event-{len(self.sent_ids)}")
        for stream in list(self.open_streams):
            stream.put(f"event: {event}\nid: {self.sent_ids[-1]}\ndata: {json.dumps(data)}\n\n")

    def end_streams(self) -> None:
        """End every stream, as the real server does after a minute."""
        for stream in list(self.open_streams):
            stream.put("")


@contextmanager
def running_fake_api(media: Path, *more: Callable[[FakeApi], Blueprint]) -> Iterator[FakeApi]:
    """Serve on a free loopback port for the length of the block.

    Args:
        media: A folder whose files are at ``/media/``; it is created.
        more: Further parts of the API.
    """
    media.mkdir(parents=True)
    fake = FakeApi(media)
    app = Flask("fake_api", static_folder=None)
    app.register_blueprint(web.blueprint)
    for part in (_routes, *more):
        app.register_blueprint(part(fake))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = True  # type: ignore[attr-defined]
    fake.url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _routes(fake: FakeApi) -> Blueprint:
    routes = Blueprint("fake", __name__)
    _add_site(routes, fake)
    _add_reading(routes, fake)
    _add_changing(routes, fake)

    @routes.before_app_request
    def count() -> None:
        fake.asked[f"{request.method} {request.path}"] += 1

    @routes.after_app_request
    def allow(response: Response) -> Response:
        origin = request.headers.get("Origin", "*")
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
        if request.method == "OPTIONS":
            response.headers.update(ALLOWED)
        return response

    return routes


def _add_site(routes: Blueprint, fake: FakeApi) -> None:
    @routes.get("/site")
    def site() -> Response:
        page = Response(fake.site_page, content_type="text/html; charset=utf-8")
        page.headers["Content-Security-Policy"] = fake.site_policy
        return page

    @routes.get("/site.css")
    def style() -> Response:
        return Response(SITE_STYLE, content_type="text/css")

    @routes.get("/favicon.ico")
    def icon() -> Response:
        return Response(status=HTTPStatus.NO_CONTENT)

    @routes.get("/media/<path:name>")
    def media(name: str) -> Response:
        if name in fake.redirects:
            headers = {"Location": fake.redirects[name], "Cache-Control": "public, max-age=60"}
            return Response(status=HTTPStatus.FOUND, headers=headers)
        if name in fake.held:
            fake.closing.wait()
        content = (fake.media / name).read_bytes() if (fake.media / name).is_file() else None
        if content is None:
            return Response(status=HTTPStatus.NOT_FOUND)
        kind = guess_type(name)[0] or "application/octet-stream"
        # Not an open file: a browser may disconnect in the middle, and the file would stay open.
        answer = Response(content, content_type=kind)
        answer.make_conditional(request, accept_ranges=True, complete_length=len(content))
        return answer


def _add_reading(routes: Blueprint, fake: FakeApi) -> None:
    @routes.get("/api/video-assets")
    def many() -> Response:
        if fake.refusal:
            return Response(status=fake.refusal[0], headers=fake.refusal[1])
        if refused := _refusal_of_token():
            return Response(status=refused)
        named = request.args["post_ids"].split(",")
        known = fake.cards | fake.assets if "Authorization" in request.headers else fake.cards
        answer = jsonify(assets=[known[name] for name in named if name in known])
        answer.headers["Cache-Control"] = "public, no-cache"
        fake.conditional += "If-None-Match" in request.headers
        answer.add_etag(weak=True)
        answer.make_conditional(request)
        return answer

    @routes.get("/api/video-assets/stream")
    def stream() -> Response:
        if not fake.streams:
            return Response(status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "30"})
        fake.stream_queries.append(dict(request.args))
        fake.last_event_ids.append(request.headers.get("Last-Event-ID"))
        return Response(_events(fake, dict(request.args)), content_type="text/event-stream")


def _refusal_of_token() -> HTTPStatus | None:
    token = request.headers.get("Authorization", f"Bearer {TOKEN}").removeprefix("Bearer ")
    if token == UNVERIFIED:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return None if token == TOKEN else HTTPStatus.UNAUTHORIZED


def _events(fake: FakeApi, asked: dict[str, str]) -> Iterator[str]:
    events: queue.Queue[str] = queue.Queue()
    fake.open_streams.append(events)
    known = fake.cards | fake.assets if "ticket" in asked else fake.cards
    try:
        yield "retry: 100\n\n"
        for post in asked["post_ids"].split(","):
            if post in known:
                yield f"event: asset\ndata: {json.dumps(known[post])}\n\n"
        while not fake.closing.is_set():
            try:
                event = events.get(timeout=STREAM_POLL_SEC)
            except queue.Empty:
                yield ": still here\n\n"  # where the browser has gone, this is what tells
                continue
            if not event:
                return
            yield event
    finally:
        fake.open_streams.remove(events)


def _add_changing(routes: Blueprint, fake: FakeApi) -> None:
    @routes.post("/api/stream-tickets")
    def ticket() -> Response:
        if refused := _refusal_of_token():
            return Response(status=refused)
        return jsonify(ticket="a-ticket", expires_at="2099-01-01T00:00:00+00:00")

    @routes.post("/api/video-assets/retry")
    def retry() -> Response:
        named = (request.get_json() or {})["post_id"]
        if fake.retry:
            status, body, headers = fake.retry
            return Response(json.dumps(body), status, headers)
        changed = {"status": Status.QUEUED, "error_code": None, "error_message": None}
        again = fake.assets[named] | changed | {"updated_at": later(1)}
        fake.put(again | {"retryable": None})
        answer = jsonify(fake.assets[named])
        answer.status_code = HTTPStatus.ACCEPTED
        return answer
