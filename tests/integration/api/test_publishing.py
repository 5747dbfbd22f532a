"""Waking workers: bounded and harmless, whatever the broker does."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import import_module
from uuid import uuid4

import pytest

from api.wiring import publisher as publishing
from api.wiring.publish_breaker import FAILURES_TO_OPEN, OPEN_SEC, Breaker
from api.wiring.publisher import Publisher
from pipeline.config.task_names import BROKER_KEY_PREFIX, TASK_SUBMIT, wake_submit
from tests.integration.api.conftest import World, serving

KEY = "k"


@contextmanager
def broken(how: str) -> Iterator[str]:
    """The address of a broker that refuses connections, or takes them and says nothing."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listening.getsockname()[1]
        if how == "down":
            listening.close()
        if how == "silent":
            stack.enter_context(_taking_all(listening))
        if how == "full":  # nothing accepts, and the queue of those who wait is full
            listening.listen(0)
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.1", port))
        yield f"redis://:secret@127.0.0.1:{port}/0"


@contextmanager
def _taking_all(listening: socket.socket) -> Iterator[None]:
    with ExitStack() as taken:

        def take() -> None:
            with suppress(OSError):
                while True:
                    taken.enter_context(listening.accept()[0])

        thread = threading.Thread(target=take)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("how", ["down", "silent", "full"])
def test_create_answers_from_the_commit_whatever_the_broker_does(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, world: World, how: str
) -> None:
    del environment
    monkeypatch.setattr("api.wiring.publish_breaker.OPEN_SEC", 3600.0)
    before = _counts()
    with broken(how) as url:
        monkeypatch.setenv("BROKER_URL", url)
        with serving(monkeypatch) as api:
            api.get("/healthz")
            for _ in range(FAILURES_TO_OPEN + 2):
                assert api.create().status_code == 202
            assert world.count() == FAILURES_TO_OPEN + 2
            tried = {outcome: count - before[outcome] for outcome, count in _counts().items()}
            assert tried == {"sent": 0, "failed": FAILURES_TO_OPEN, "skipped": 2}
            ready = api.get("/readyz", as_=None)
            assert ready.status_code == 200
            assert ready.json()["checks"]["broker"] != "ok"
            assert "khronika_broker_up 0.0" in api.get("/metrics", as_=None).text


def test_a_broker_that_keeps_failing_is_left_alone() -> None:
    with broken("down") as url, closing(Publisher(url, KEY)) as publisher:
        outcomes = [_outcome(publisher) for _ in range(FAILURES_TO_OPEN + 2)]
    assert outcomes == ["failed"] * FAILURES_TO_OPEN + ["skipped"] * 2


def _outcome(publisher: Publisher) -> str:
    before = _counts()
    publisher.publish([wake_submit(uuid4())])
    (outcome,) = [name for name, count in _counts().items() if count != before[name]]
    return outcome


def _counts() -> dict[str, float]:
    return {
        name: publishing.PUBLISHES.labels(name)._value.get()
        for name in ("sent", "failed", "skipped")
    }


def test_a_broker_that_comes_back_is_used_again(broker_url: str) -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    with closing(Publisher(broker_url, KEY, breaker)) as publisher:
        for _ in range(FAILURES_TO_OPEN):
            breaker.failed()
        assert _outcome(publisher) == "skipped"
        now[0] += OPEN_SEC
        assert _outcome(publisher) == "sent"
        assert _outcome(publisher) == "sent"


def test_the_broker_counts_what_is_waiting(broker_url: str) -> None:
    with closing(Publisher(broker_url, KEY)) as publisher:
        assert publisher.depths(["submit", "sweep"]) == {"submit": 0, "sweep": 0}
        publisher.publish(wake_submit(uuid4()) for _ in range(3))
        assert publisher.depths(["submit", "sweep"]) == {"submit": 3, "sweep": 0}


def test_the_worker_looks_where_the_api_sends(environment: Mapping[str, str]) -> None:
    del environment
    config = import_module("celeryconfig")  # reads the environment as it is imported
    assert config.broker_transport_options["global_keyprefix"] == BROKER_KEY_PREFIX
    assert config.task_serializer == "json"
    assert TASK_SUBMIT in config.task_routes
