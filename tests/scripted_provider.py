"""A provider at the socket that does as a test tells it, and keeps its own books.

It speaks the transcoder's HTTP contract, serves sources and finished outputs, and can answer late,
wrongly or not at all. Its ledger is the oracle: what it says exists was really submitted.
"""

import json
import mimetypes
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from flask import Flask, Response, request
from standardwebhooks import Webhook
from werkzeug.serving import make_server

SECRET = "whsec_c2NyaXB0ZWQtcHJvdmlkZXItc2VjcmV0LTAwMDAwMDAx"
TOKEN = "scripted-provider-token"
TYPES = {"completed": "job.completed", "failed": "job.failed"}


@dataclass
class Limit:
    """A vendor's limit of calls: one at a time, so many in a second."""

    per_sec: float
    refused: int = 0
    admitted_at: list[float] = field(default_factory=list)
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self) -> bool:
        """Whether a call may pass now; the clocks of both sides may differ by a third of a turn."""
        with self._lock:
            now, interval = time.monotonic(), 1 / self.per_sec
            if now < self._free_at - interval / 3:
                self.refused += 1
                return False
            self._free_at = max(now, self._free_at) + interval
            self.admitted_at.append(now)
            return True


@dataclass
class ScriptedProvider:
    """The books of the provider, and the script of its next answers."""

    folder: Path
    url: str = ""
    jobs: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    puts: list[UUID] = field(default_factory=list)
    cancelled: list[UUID] = field(default_factory=list)
    script: list[str] = field(default_factory=list)
    """What to do with the next PUTs: accept, drop, 503, 429, 400, 500; accept when empty."""
    gets: list[str] = field(default_factory=list)
    """What to do with the next GETs: answer, 503; answer when empty."""
    deletes: list[str] = field(default_factory=list)
    """What to do with the next DELETEs: answer, 503; answer when empty."""
    broken_files: set[str] = field(default_factory=set)
    """Files that cannot be read now: 503."""
    retry_after: Mapping[str, str] = field(default_factory=dict)
    """The header of that name, if a refusal is to have one."""
    origin_status: int | None = None
    """The status of every file, while the server of sources has a trouble."""
    origin_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of those answers."""
    limit: "Limit | None" = None
    """Refuses PUTs beyond a pace."""
    read_limit: "Limit | None" = None
    """Refuses GETs beyond a pace."""
    before_answer: Callable[[UUID], object] | None = None
    """Called when a job has been accepted and before the answer leaves."""

    def job(self, attempt_id: UUID, **changes: Any) -> dict[str, Any]:
        """The job as the provider would show it, with changes made for good."""
        self.jobs[attempt_id].update(changes)
        return self.jobs[attempt_id]

    def finish(self, attempt_id: UUID, **result: Any) -> dict[str, Any]:
        """End the job well: its result names the outputs in this provider's folder."""
        outputs = {
            "manifest": f"{self.url}/out/master.m3u8",
            "fallback": f"{self.url}/out/video.mp4",
            "poster": f"{self.url}/out/poster.jpg",
            "thumbnail": f"{self.url}/out/poster.jpg",
            "duration_sec": 5.28,
            "width": 320,
            "height": 180,
            "bytes": 1,
            "renditions": [{"profile": "240p"}],
        }
        return self.job(attempt_id, status="completed", progress=100, result=outputs | result)

    def fail(self, attempt_id: UUID, code: str, *, retryable: bool) -> dict[str, Any]:
        """End the job badly."""
        error = {"code": code, "message": f"it was {code}", "retryable": retryable}
        return self.job(attempt_id, status="failed", error=error)


def callback(
    job: Mapping[str, Any],
    type_: str | None = None,
    *,
    event_id: str | None = None,
    signed_at: datetime | None = None,
    secret: str = SECRET,
) -> tuple[dict[str, str], bytes]:
    """A signed callback about the job: headers and body; the type that suits it where not given."""
    type_ = type_ or TYPES.get(job.get("status", ""), "job.progress")
    event_id = event_id or f"msg_{uuid4().hex}"
    signed_at = signed_at or datetime.now(UTC)
    body = json.dumps({"type": type_, "timestamp": signed_at.isoformat(), "data": {"job": job}})
    headers = {
        "Content-Type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(signed_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, signed_at, body),
    }
    return headers, body.encode()


@contextmanager
def scripted_provider(folder: Path) -> Iterator[ScriptedProvider]:
    """Serve on a free port of loopback."""
    provider = ScriptedProvider(folder)
    server = make_server("127.0.0.1", 0, _app(provider), threaded=True)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _app(provider: ScriptedProvider) -> Flask:
    app, folder = Flask(__name__), provider.folder

    @app.put("/v1/jobs/<uuid:job_id>")
    def put(job_id: UUID) -> Any:
        return _put(provider, job_id)

    @app.get("/v1/jobs/<uuid:job_id>")
    def get(job_id: UUID) -> Any:
        if trouble := _next(provider.gets):
            return trouble
        if provider.read_limit and not provider.read_limit.admits():
            return _error(429), 429
        job = provider.jobs.get(job_id)
        return (job, 200) if job else (_error(404), 404)

    @app.delete("/v1/jobs/<uuid:job_id>")
    def delete(job_id: UUID) -> Any:
        if trouble := _next(provider.deletes):
            return trouble
        if job_id not in provider.jobs:
            return _error(404), 404
        provider.cancelled.append(job_id)
        return provider.jobs[job_id], 202

    @app.get("/out/<path:name>")
    def out(name: str) -> Response:
        if provider.origin_status is not None:
            return Response(status=provider.origin_status, headers=dict(provider.origin_headers))
        return Response(status=503) if name in provider.broken_files else _file(folder / name)

    return app


def _put(provider: ScriptedProvider, job_id: UUID) -> Any:
    if provider.limit and not provider.limit.admits():
        return _error(429), 429
    provider.puts.append(job_id)
    action = provider.script.pop(0) if provider.script else "accept"
    if action.isdigit():
        return _error(int(action)), int(action), provider.retry_after
    provider.jobs.setdefault(
        job_id, {"id": str(job_id), "status": "queued", "progress": 0, "spec": request.json}
    )
    if provider.before_answer:
        provider.before_answer(job_id)
    if action == "drop":
        request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return provider.jobs[job_id], 201, {"X-Request-Id": f"req-{len(provider.puts)}"}


def _next(script: list[str]) -> tuple[dict[str, Any], int] | None:
    """The trouble that the script has next, if any."""
    action = script.pop(0) if script else "answer"
    return (_error(int(action)), int(action)) if action.isdigit() else None


def _file(path: Path) -> Response:
    """Read whole: werkzeug leaves the file of a ranged answer open."""
    if not path.is_file():
        return Response(status=404)
    body = path.read_bytes()
    answer = Response(body, mimetype=mimetypes.guess_type(path.name)[0])
    answer.make_conditional(request, accept_ranges=True, complete_length=len(body))
    return answer


def _error(status: int) -> dict[str, Any]:
    return {
        "error": {"code": "provider_failed", "message": f"scripted {status}", "retryable": False}
    }
