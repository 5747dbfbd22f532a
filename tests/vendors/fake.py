"""The base that the fakes of vendors share: a server on loopback with books, a script and habits.

A fake speaks the vendor's HTTP contract and nothing else: the adapter under test reaches it by the
settings of an account. Each request is held against the published contract; one that violates it
is answered by 500 and kept in ``violations``, which `serving` asserts to be empty.
"""

import json
import mimetypes
import socket
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from flask import Flask, Response, g, request
from werkzeug.serving import make_server

from pipeline.domain.values import Phase, Profile
from pipeline.net.signatures import Rejection

ENDED = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED})


class FakeCallback(NamedTuple):
    """A callback as the vendor would send it: header names in lower case, the query undecoded."""

    headers: dict[str, str]
    body: bytes
    query: str = ""


class Forgery(NamedTuple):
    """A callback that is to be refused, and why."""

    callback: FakeCallback
    reason: Rejection


@dataclass
class FakeJob:
    """A row of the vendor's books.

    Attributes:
        attempt_id: Our id as we sent it; None for a job made outside.
        spec: The body that made it.
        facts: The vendor's own state of it, for its fake alone.
    """

    job_id: str
    attempt_id: UUID | None
    created_at: datetime
    spec: Mapping[str, Any]
    phase: Phase = Phase.WAITING
    cancelled: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def billed(self) -> bool:
        """True if the vendor charges for storing it: it was taken, and not deleted since."""
        return not self.cancelled


class FakeVendor(ABC):
    """A vendor with its books.

    Attributes:
        adapter: The name of the adapter that speaks to it.
        lists: It lists its jobs, so that those made outside are seen.
        phases: The phases that it has counterparts of.
        signs_time: Its callbacks carry a signed time, so that an old one is refused.
        duration_sec: Duration of its outputs, as it reports it.
        url: Address of its API.
        media_url: Address of its other host, on another port.
        jobs: Every job it ever took, by its own id, those deleted since included.
        asked: Every request of the API: its call and its path.
        served: The address of every other request, for media.
        script: The next answers by call, first to last; a call without one is accepted. "accept";
            "drop" acts and then breaks the connection; "lose" breaks it and does nothing; a status
            with or without seconds to wait ("503", "429 30") does nothing; "body TEXT" answers 200
            with a text. A `Response` is given as it is.
        habits: Awkward habits of this vendor that are switched on; each fake documents its own.
        violations: Requests that violate the published contract.
    """

    adapter: ClassVar[str]
    signs_time: ClassVar[bool] = True
    lists: ClassVar[bool] = True
    phases: ClassVar[frozenset[Phase]] = frozenset(Phase)
    calls: ClassVar[frozenset[str]]
    """Names of the endpoints that belong to the API, for ``script``. Others serve media."""
    secret: str
    duration_sec: float = 5.28

    def __init__(self, outputs: Path | None = None) -> None:
        self.outputs = outputs
        self.url = self.media_url = ""
        self.jobs: dict[str, FakeJob] = {}
        self.asked: list[tuple[str, str]] = []
        self.served: list[str] = []
        self.script: defaultdict[str, list[str | Response]] = defaultdict(list)
        self.habits: set[str] = set()
        self.violations: list[str] = []
        self.app = Flask(f"fake_{self.adapter}")
        self.app.before_request(self._before)
        self.app.after_request(self._after)
        self.route(self.app)

    def authorised(self) -> bool:
        """True if the current request has the credentials of ``environment``."""
        return True

    @abstractmethod
    def route(self, app: Flask) -> None:
        """Add the vendor's endpoints, those of ``calls`` under these names."""

    @abstractmethod
    def violation(self) -> str | None:
        """Hold the current request against the published contract; None if it follows it."""

    @abstractmethod
    def refusal(self, status: int, retry_after: str | None) -> Response:
        """Answer an error in the vendor's form."""

    @abstractmethod
    def environment(self, account: str) -> dict[str, str]:
        """Variables that point an account of this name at the fake."""

    @abstractmethod
    def move(self, job_id: str, phase: Phase) -> None:
        """Bring a job into the vendor's counterpart of a phase."""

    @abstractmethod
    def callbacks_for(self, job_id: str, phase: Phase) -> list[FakeCallback]:
        """The callbacks that the vendor sends when a job has come into a phase, signed now.

        The list is empty for a phase of which the vendor tells nothing.
        """

    @abstractmethod
    def redelivered(self, callback: FakeCallback) -> FakeCallback:
        """The same event once more, different by all that differs from try to try."""

    @abstractmethod
    def forged(self, callback: FakeCallback) -> list[Forgery]:
        """Callbacks like this one that nobody with the secret has signed."""

    def stale(self, callback: FakeCallback) -> FakeCallback:
        """This callback as it was signed an hour ago."""
        raise NotImplementedError

    @abstractmethod
    def signed_by(self, callback: FakeCallback, secret: str) -> FakeCallback:
        """This callback with the signature of another secret."""

    @abstractmethod
    def orphan(self) -> FakeJob:
        """Take a job that we did not submit."""

    def stored(self, job_id: str) -> Mapping[str, Path]:
        """The files that the vendor writes to our storage, by key; empty if it hosts them."""
        del job_id
        return {}

    def cap_of(self, job_id: str) -> Profile | None:
        """The largest rendition that the vendor was told to make."""
        del job_id
        return None

    def job_of(self, attempt_id: UUID) -> FakeJob:
        """The one job of an attempt; a second one is a failure."""
        [job] = [job for job in self.jobs.values() if job.attempt_id == attempt_id]
        return job

    @property
    def billed(self) -> list[FakeJob]:
        """The jobs that the vendor charges for."""
        return [job for job in self.jobs.values() if job.billed]

    def live(self, job_id: str) -> FakeJob | None:
        """A job that exists; None for one that is unknown or deleted."""
        job = self.jobs.get(job_id)
        return job if job and not job.cancelled else None

    def now(self) -> datetime:
        return datetime.now(UTC)

    def _before(self) -> Response | None:
        if request.endpoint not in self.calls:
            self.served.append(request.url)
            return None
        self.asked.append((request.endpoint, request.full_path.rstrip("?")))
        if problem := self.violation():
            self.violations.append(f"{request.method} {request.path}: {problem}")
            return Response(problem, 500)
        if not self.authorised():
            return self.refusal(401, None)
        script = self.script[request.endpoint]
        return self._play(script.pop(0) if script else "accept")

    def _play(self, action: str | Response) -> Response | None:
        if isinstance(action, Response):
            return action
        verb, _, rest = action.partition(" ")
        g.drops = verb in {"drop", "lose"}
        if verb.isdigit():
            return self.refusal(int(verb), rest or None)
        if verb == "body":
            return Response(rest, 200, content_type="application/json")
        return Response(status=500) if verb == "lose" else None

    def _after(self, response: Response) -> Response:
        if g.get("drops"):
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return response


@contextmanager
def serving(*fakes: FakeVendor) -> Iterator[None]:
    """Serve fakes on free ports of loopback, two each; at the end, no request was a violation."""
    with ExitStack() as stack:
        for fake in fakes:
            fake.url = stack.enter_context(_served(fake.app))
            fake.media_url = stack.enter_context(_served(fake.app))
        yield
    violations = [violation for fake in fakes for violation in fake.violations]
    assert not violations, violations


@contextmanager
def _served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.daemon = True
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def document(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Response(
        json.dumps(body), status, headers=dict(headers or {}), content_type="application/json"
    )


def file_of(path: Path) -> Response:
    """A file of the outputs, with ranges; read whole, because werkzeug leaves the file open."""
    if not path.is_file():
        return Response(status=404)
    answer = Response(path.read_bytes(), mimetype=mimetypes.guess_type(path.name)[0])
    answer.make_conditional(request, accept_ranges=True, complete_length=path.stat().st_size)
    return answer


def readdressed(playlist: str, address: Callable[[str], str]) -> Response:
    """A playlist whose every address is another one, as vendors lay theirs out."""
    lines = [
        _attribute(line, address) if line.startswith("#") or not line else address(line)
        for line in playlist.splitlines()
    ]
    return Response("\n".join([*lines, ""]), mimetype="application/vnd.apple.mpegurl")


def _attribute(line: str, address: Callable[[str], str]) -> str:
    before, found, rest = line.partition('URI="')
    uri, _, after = rest.partition('"')
    return f'{before}{found}{address(uri)}"{after}' if found else line
