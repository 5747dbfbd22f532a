"""The expensive work that may go on at once: in this process, of one owner, of one address.

A table names the routes. The address is known before a request is looked at, the owner once its
token or ticket has been verified.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import NamedTuple, cast

from apiflask import APIFlask
from flask import Response, current_app, g, request
from prometheus_client import Counter as Metric

from api.http.client_address import client_address
from api.http.problems import Problem, answer
from pipeline.config.limit_settings import WorkSettings
from pipeline.net.client_networks import network_of

REFUSED = Metric("khronika_work_refused", "Requests refused beyond the work at once.", ["work"])

RETRY_AFTER_SEC = 2
EXTENSION = "khronika.work"


class Work(StrEnum):
    """Expensive work; its setting is the member of the same name of `WorkSettings`."""

    CHECKS = "checks"
    """ffprobe and the assembly of parts."""
    CONTENTS = "contents"
    """Content that arrives, is hashed and stored."""
    STORAGE = "storage"
    """Calls of the storage: signatures, listings, deletions."""
    MEDIA = "media"
    """Objects of our storage that are read."""
    CONSOLE = "console"
    """Pages, searches and lists of the operators' console."""
    METRICS = "metrics"
    """Scrapes, which count rows."""


ROUTES: Mapping[str, Work] = {
    "uploads.complete": Work.CHECKS,
    "uploads.content": Work.CONTENTS,
    "parts.receive": Work.CONTENTS,
    "parts.sign": Work.STORAGE,
    "parts.confirm": Work.STORAGE,
    "uploads.abandon": Work.STORAGE,
    "media": Work.MEDIA,
    "video_files": Work.MEDIA,
    "ops": Work.CONSOLE,
    "operations.metrics": Work.METRICS,
}
"""The work of a route, or of every route of a blueprint."""


class Bound(NamedTuple):
    """The most of one work at once."""

    process: int

    @property
    def owner(self) -> int:
        """Of one owner: half, so that two owners never stop a third by themselves alone."""
        return max(1, self.process // 2)

    @property
    def address(self) -> int:
        """Of one address: three quarters, since an office shares one."""
        return max(1, -(-3 * self.process // 4))


class WorkFull(Exception):
    """There is no room for more of this work now.

    Attributes:
        of: ``process``, ``owner`` or ``address``.
    """

    def __init__(self, work: Work, of: str) -> None:
        super().__init__(f"{work} of {of}")
        self.work, self.of = work, of


class WorkAtOnce:
    """The work that goes on in this process; safe for any number of threads."""

    def __init__(self, settings: WorkSettings) -> None:
        self.bounds = {work: Bound(getattr(settings, work)) for work in Work}
        self._going_on: Counter[tuple[Work, str, str]] = Counter()
        self._lock = Lock()

    def take(self, work: Work, of: str, name: str = "") -> None:
        """Count one more.

        Args:
            of: ``process``, ``owner`` or ``address``.
            name: The owner or the address.

        Raises:
            WorkFull: It is one too many.
        """
        with self._lock:
            if self._going_on[work, of, name] >= getattr(self.bounds[work], of):
                raise WorkFull(work, of)
            self._going_on[work, of, name] += 1

    def going_on(self) -> Mapping[tuple[Work, str, str], int]:
        """Return the counts of everything that goes on: of the process, of owners, of addresses."""
        with self._lock:
            return dict(self._going_on)

    def give_back_all(self, held: Iterable[tuple[Work, str, str]]) -> None:
        """Count one less of each that was taken."""
        with self._lock:
            for each in held:
                self._going_on[each] -= 1
                if self._going_on[each] <= 0:
                    del self._going_on[each]


def register(app: APIFlask, settings: WorkSettings) -> None:
    """Bound the work of an application's requests."""
    app.extensions[EXTENSION] = WorkAtOnce(settings)
    app.register_error_handler(WorkFull, _refuse)
    app.before_request(_begin)
    app.after_request(_end)


def work_of(endpoint: str | None) -> Work | None:
    """Return the work of an endpoint; None if it is cheap."""
    if endpoint is None:
        return None
    blueprint = endpoint.partition(".")[0]
    room = "ops" if blueprint.startswith("ops") else blueprint
    return ROUTES.get(endpoint, ROUTES.get(room))


def take_for_owner(owner_id: str) -> None:
    """Count the work of the current request for its owner, once that is known.

    Raises:
        WorkFull: It is one too many.
    """
    work = work_of(request.endpoint)
    if work is not None:
        _take(work, "owner", owner_id)


def _begin() -> None:
    work = work_of(request.endpoint)
    if work is not None:
        _take(work, "address", network_of(client_address()))
        _take(work, "process", "")


def _take(work: Work, of: str, name: str) -> None:
    held = g.setdefault("work_held", [])
    if (work, of, name) not in held:
        _at_once().take(work, of, name)
        held.append((work, of, name))


def _end(response: Response) -> Response:
    """Give back what the request holds: now, or once an answer that is still made has been sent.

    A client that has its whole answer may ask again at once; its place must be free by then.
    """
    at_once, held = _at_once(), g.pop("work_held", [])
    if response.is_streamed:
        response.call_on_close(partial(at_once.give_back_all, held))
    else:
        at_once.give_back_all(held)
    return response


def _at_once() -> WorkAtOnce:
    return cast("WorkAtOnce", current_app.extensions[EXTENSION])


def _refuse(full: WorkFull) -> Response:
    REFUSED.labels(full.work).inc()
    is_ours = full.of == "process"
    return answer(
        Problem(
            HTTPStatus.SERVICE_UNAVAILABLE if is_ours else HTTPStatus.TOO_MANY_REQUESTS,
            "too_much_at_once",
            "This server is busy with as much of this work as it may have at once."
            if is_ours
            else f"Too much of this work is going on at once for one {full.of}.",
            headers={"Retry-After": str(RETRY_AFTER_SEC)},
        )
    )
