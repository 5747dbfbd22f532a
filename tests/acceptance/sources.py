"""A web server of videos that misbehaves as a story tells it to, and keeps a log.

The worker samples a source with Range requests before it submits it; the transcoder downloads it
whole. The two are told apart by the Range header, so that a source can be sound when it is
verified and gone, late or broken when it is encoded.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from flask import Flask, Response, request

from tests.acceptance.serving import served

SERVE = "serve"
HOLD = "hold"
"""Send the file a little at a time until the story releases it."""
HANG = "hang"
"""Accept the request and say nothing until the server closes."""
Answer = int | str
"""A status code to fail with, or one of the above."""

TRICKLE_BYTES = 512
TRICKLE_EVERY_SEC = 0.2
MIME = {".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm"}


@dataclass(frozen=True)
class Asked:
    """One line of the log."""

    at: datetime
    range: str | None
    answer: str


@dataclass
class Source:
    """One video on the server.

    Attributes:
        url: Its address.
        whole: What to do with the next requests for the whole file; served once it is empty.
        always: What to do with every request, whatever it asks for.
        log: What was asked and how it was answered.
    """

    file: Path
    url: str
    whole: list[Answer]
    always: Answer
    log: list[Asked] = field(default_factory=list)
    _released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let requests that are held or hanging go on."""
        self._released.set()

    def respond(self, range_: str | None) -> Response:
        """Answer a request as the script says."""
        scripted = self.whole.pop(0) if self.whole and range_ is None else SERVE
        action = scripted if self.always == SERVE else self.always
        response = self._acted(action)
        what = action if action in {HOLD, HANG} else str(response.status_code)
        self.log.append(Asked(datetime.now(UTC), range_, str(what)))
        return response

    def _acted(self, action: Answer) -> Response:
        if isinstance(action, int):
            return Response(status=action)
        if action == HANG:
            self._released.wait()
            return Response(status=503)
        content = self.file.read_bytes()
        response = Response(content, mimetype=MIME.get(self.file.suffix, "video/mp4"))
        response.set_etag(sha256(content).hexdigest()[:16])
        if action == HOLD:
            response.response = self._trickled(content)
            response.content_length = len(content)
            return response
        response.make_conditional(request, accept_ranges=True, complete_length=len(content))
        return response

    def _trickled(self, content: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(content) and not self._released.wait(TRICKLE_EVERY_SEC):
            yield content[at : at + TRICKLE_BYTES]
            at += TRICKLE_BYTES
        yield content[at:]


class Sources:
    """The server's shelf."""

    def __init__(self) -> None:
        self.url = ""
        self._shelf: dict[str, Source] = {}

    def offer(self, file: Path, *, whole: Sequence[Answer] = (), always: Answer = SERVE) -> Source:
        """Put a video up, at an address of its own."""
        name = f"{uuid4().hex[:8]}/{file.name}"
        source = Source(file, f"{self.url}/{name}", list(whole), always)
        self._shelf[name] = source
        return source

    def find(self, name: str) -> Source | None:
        """The video at this path."""
        return self._shelf.get(name)

    def release_all(self) -> None:
        """Let nobody hang."""
        for source in self._shelf.values():
            source.release()


@contextmanager
def open_sources() -> Iterator[Sources]:
    """Serve on a free port of loopback."""
    sources = Sources()
    with served(_app(sources)) as sources.url:
        try:
            yield sources
        finally:
            sources.release_all()


def _app(sources: Sources) -> Flask:
    app = Flask(__name__)

    @app.get("/<path:name>")
    def get(name: str) -> Response:
        source = sources.find(name)
        return source.respond(request.headers.get("Range")) if source else Response(status=404)

    return app
