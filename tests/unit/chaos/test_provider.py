"""The oracle's books are right: they say what was taken, once, whatever was answered."""

import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from stack.ports import LOOPBACK, free_port
from tests.chaos.provider.courier import Courier, Timetable
from tests.chaos.provider.courses import Courses
from tests.chaos.provider.ledger import Ledger
from tests.chaos.provider.script import CALM, Script, script_of
from tests.chaos.provider.server import FrontDoor, make_app

SEED = 1
SECRET = "whsec_c2NyaXB0ZWQtcHJvdmlkZXItc2VjcmV0LTAwMDAwMDAx"
OVERDUE_SEC = 3600.0


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def client(ledger: Ledger, tmp_path: Path) -> FlaskClient:
    """Its callbacks go where nobody listens."""
    timetable = Timetable()
    courier = Courier(ledger, timetable, f"http://{LOOPBACK}:{free_port()}/", SECRET)
    door = FrontDoor(ledger, Courses(ledger, timetable, courier, ""), SEED, OVERDUE_SEC)
    return make_app(door, ledger, tmp_path).test_client()


def _number_of(answer: str) -> int:
    """The first job that the seed answers so."""
    return next(n for n in range(1, 1000) if script_of(SEED, n, OVERDUE_SEC).answer == answer)


def _until(ledger: Ledger, answer: str) -> None:
    """Let the next new job be one that is answered so."""
    ledger.puts = _number_of(answer) - 1


def test_a_calm_provider_takes_a_job_once_however_often_it_is_asked(
    client: FlaskClient, ledger: Ledger
) -> None:
    ledger.calm = True
    url = f"/v1/jobs/{uuid4()}"
    assert [client.put(url, json={"a": 1}).status_code for _ in range(3)] == [201, 200, 200]
    assert len(ledger.jobs) == 1


def test_another_body_for_a_known_job_is_refused_and_written_down(
    client: FlaskClient, ledger: Ledger
) -> None:
    ledger.calm = True
    job_id = str(uuid4())
    client.put(f"/v1/jobs/{job_id}", json={"a": 1})
    assert client.put(f"/v1/jobs/{job_id}", json={"a": 2}).status_code == 409
    assert ledger.other_bodies == [job_id]


@pytest.mark.parametrize("answer", ["429", "503", "500 before acceptance"])
def test_a_refused_job_is_not_in_the_books(
    client: FlaskClient, ledger: Ledger, answer: str
) -> None:
    _until(ledger, answer)
    response = client.put(f"/v1/jobs/{uuid4()}", json={})
    assert (response.status_code, response.headers["Retry-After"]) == (int(answer[:3]), "1")
    assert ledger.jobs == {}


def test_a_job_whose_answer_was_an_error_is_in_the_books_all_the_same(
    client: FlaskClient, ledger: Ledger
) -> None:
    _until(ledger, "500 after acceptance")
    job_id = str(uuid4())
    assert client.put(f"/v1/jobs/{job_id}", json={}).status_code == 500
    assert list(ledger.jobs) == [job_id]


def test_the_runner_can_have_the_next_submission_held_and_see_whose_it_is(
    client: FlaskClient, ledger: Ledger
) -> None:
    client.post("/books/hold")
    seen: list[int] = []
    watching = threading.Thread(target=lambda: seen.extend(_first_held(ledger)))
    watching.start()
    answer = client.put(f"/v1/jobs/{uuid4()}", json={}, environ_base={"REMOTE_PORT": "4711"})
    watching.join()
    assert (answer.status_code, seen, ledger.holding) == (201, [4711], set())


def _first_held(ledger: Ledger) -> list[int]:
    deadline = time.monotonic() + 5.0
    while not ledger.holding and time.monotonic() < deadline:
        time.sleep(0.01)
    return list(ledger.holding)


def test_a_delete_that_comes_before_its_job_gives_nothing_up(
    client: FlaskClient, ledger: Ledger
) -> None:
    ledger.calm = True
    job_id = str(uuid4())
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 404
    client.put(f"/v1/jobs/{job_id}", json={})
    assert ledger.jobs[job_id].deleted_at is None
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 202
    assert ledger.jobs[job_id].deleted_at is not None
    assert ledger.jobs[job_id].status == "cancelled"


def test_a_deaf_job_says_yes_to_its_cancelling_and_runs_on(ledger: Ledger) -> None:
    script = Script("accept", 0, "overdue and deaf to cancelling", 60.0, "normal", 0)
    job = ledger.accept(str(uuid4()), script, b"", "selfhosted")
    assert ledger.delete(job)
    assert ledger.finish(job, "completed")


def test_a_job_ends_once(ledger: Ledger) -> None:
    job = ledger.accept(str(uuid4()), CALM, b"", "selfhosted")
    assert ledger.finish(job, "completed")
    assert not ledger.finish(job, "failed")
    assert job.status == "completed"


def test_a_black_poster_is_not_playable_in_the_books(ledger: Ledger) -> None:
    script = Script("accept", 0, "completes with a black poster", 0.1, "normal", 0)
    job = ledger.accept(str(uuid4()), script, b"", "selfhosted")
    ledger.finish(job, "completed")
    assert not job.playable
