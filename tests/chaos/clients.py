"""The owners and their clients: they register videos, change their minds, and write it all down."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, Queue
from random import Random
from typing import Any

import requests

from cli.environment import make_token
from tests.chaos.plan import Arrival, Meddling, Plan

TIMEOUT_SEC = 8.0
PATIENCE_SEC = 60.0
"""How long a client repeats a create before it gives up not knowing."""
RETRY_SEC = 0.5
CREATORS = 6
MOST_UNDER_WAY = 50
"""Assets that clients leave unfinished before they wait: some 20 s of work for two cores."""
MEDDLERS = 3
AGAIN = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Acknowledged:
    """A create that was answered with 2xx."""

    post_id: str
    asset_id: str
    owner: str


@dataclass(frozen=True)
class Deed:
    """A cancel, retry, re-encode or delete, and its answer; None when there was none."""

    verb: str
    post_id: str
    asset_id: str
    status: int | None


@dataclass
class ClientLog:
    """What clients did and were told. ``answers`` counts requests by verb and answer."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)


class Clients:
    """All clients of a run, in threads."""

    def __init__(self, base_url: str, environment: Mapping[str, str], sources: str) -> None:
        self._base_url = base_url
        self._environment = environment
        self._sources = sources
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._may_create = threading.Event()
        self._may_create.set()
        self._threads: list[threading.Thread] = []
        self.log = ClientLog()

    def begin(self, plan: Plan) -> None:
        """Follow the plan from now on."""
        began = time.monotonic()
        creates, whims = _queue(plan.arrivals), _queue(plan.meddlings)
        for count, work, items in (
            (CREATORS, self._create, creates),
            (MEDDLERS, self._meddle, whims),
        ):
            for _ in range(count):
                thread = threading.Thread(target=work, args=(items, began), daemon=True)
                self._threads.append(thread)
                thread.start()

    def are_busy(self) -> bool:
        """Whether something of the plan is still to be done or to be answered."""
        return any(thread.is_alive() for thread in self._threads)

    def hold(self, wait: bool) -> None:
        """Have creators wait while the system has as much under way as its machine can carry.

        Clients that go on regardless measure the machine: overload, not faults, is then what the
        bound on recovery is about.
        """
        if wait:
            self._may_create.clear()
        else:
            self._may_create.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()
        self._may_create.set()

    def _create(self, arrivals: "Queue[Arrival]", began: float) -> None:
        while (arrival := _next(arrivals)) is not None:
            if self._stopping.wait(max(0.0, began + arrival.at_sec - time.monotonic())):
                return
            self._may_create.wait()
            if self._register(arrival) and arrival.repeated:
                self._register(arrival)

    def _register(self, arrival: Arrival) -> bool:
        """Create with a key, again and again until there is an answer that says something."""
        deadline = time.monotonic() + PATIENCE_SEC
        while time.monotonic() < deadline:
            status, body = self._call(
                "create",
                arrival.owner,
                "POST",
                "/api/video-assets/create",
                {"post_id": str(arrival.post_id), "source_url": self._source_of(arrival)},
                key=str(arrival.post_id),
            )
            if status in {200, 202}:
                entry = Acknowledged(str(arrival.post_id), body["id"], arrival.owner)
                with self._lock:
                    self.log.acknowledged.append(entry)
                return True
            if not _may_try_again(status, body):
                break
            self._stopping.wait(RETRY_SEC)
        with self._lock:
            self.log.unknown.append(str(arrival.post_id))
        return False

    def _source_of(self, arrival: Arrival) -> str:
        return f"{self._sources}/out/{arrival.source}?post={arrival.post_id}"

    def _meddle(self, whims: "Queue[Meddling]", began: float) -> None:
        while (whim := _next(whims)) is not None:
            if self._stopping.wait(max(0.0, began + whim.at_sec - time.monotonic())):
                return
            self._follow(whim)

    def _follow(self, whim: Meddling) -> None:
        """Do to some video what may be done to it; at a loss for one, do nothing."""
        rng = Random(whim.dice)
        with self._lock:
            known = list(self.log.acknowledged)
        for chosen in rng.sample(known, min(8, len(known))):
            path = f"/api/video-assets/{chosen.post_id}"
            status, asset = self._call("read", chosen.owner, "GET", path)
            if status == 200 and asset["id"] == chosen.asset_id and _fits(whim.verb, asset):
                self._do(whim.verb, chosen)
                return

    def _do(self, verb: str, chosen: Acknowledged) -> None:
        path = f"/api/video-assets/{chosen.post_id}"
        body: Any = None
        if verb == "retry":
            method, path, body = "POST", "/api/video-assets/retry", {"post_id": chosen.post_id}
        elif verb == "delete":
            method = "DELETE"
        else:
            method, path = "POST", f"{path}/{verb}"
        status, _ = self._call(verb, chosen.owner, method, path, body)
        with self._lock:
            self.log.deeds.append(Deed(verb, chosen.post_id, chosen.asset_id, status))

    def _call(
        self, verb: str, owner: str, method: str, path: str, body: Any = None, *, key: str = ""
    ) -> tuple[int | None, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {make_token(self._environment, owner)}"}
        if key:
            headers["Idempotency-Key"] = key
        url = f"{self._base_url}{path}"
        try:
            answer = requests.request(method, url, json=body, headers=headers, timeout=TIMEOUT_SEC)
            document = dict(answer.json()) if answer.content else {}
        except (requests.RequestException, ValueError) as error:
            self._count(verb, f"no answer ({type(error).__name__})")
            return None, {}
        code = document.get("code")
        self._count(verb, f"{answer.status_code} {code}" if code else str(answer.status_code))
        return answer.status_code, document

    def _count(self, verb: str, answer: str) -> None:
        with self._lock:
            self.log.answers[verb, answer] += 1


def _may_try_again(status: int | None, body: Mapping[str, Any]) -> bool:
    return status is None or status in AGAIN or body.get("code") == "idempotency_in_flight"


def _fits(verb: str, asset: Mapping[str, Any]) -> bool:
    wanted = {
        "retry": {"failed"},
        "cancel": {"queued", "processing", "retrying"},
        "reencode": {"completed"},
    }
    return verb not in wanted or asset["status"] in wanted[verb]


def _queue(items: Sequence[Any]) -> "Queue[Any]":
    queue: Queue[Any] = Queue()
    for item in items:
        queue.put(item)
    return queue


def _next(queue: "Queue[Any]") -> Any:
    try:
        return queue.get_nowait()
    except Empty:
        return None
