"""The check of an upload: once, by one request, however many ask for it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
from sqlalchemy import func, update

from pipeline.media.probe import probe
from pipeline.records.models import Upload
from pipeline.runtime.database import session_of
from pipeline.uploads import check_claim
from pipeline.uploads import complete as completing
from tests.conditions import PATIENCE_SEC, wait_until
from tests.integration.api.conftest import Client, World, token
from tests.integration.api.test_serving import gunicorn
from tests.integration.api.test_uploads import complete, put, ticket


class Probes:
    """ffprobe as `complete` calls it: counted, and held while a test wants it."""

    def __init__(self) -> None:
        self.runs = 0
        self.may_end = Event()
        self.may_end.set()
        self.fails_with: Exception | None = None

    def __call__(self, *args: Any) -> Any:
        self.runs += 1
        self.may_end.wait(PATIENCE_SEC)
        if self.fails_with is not None:
            raise self.fails_with
        return probe(*args)


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Probes]:
    counted = Probes()
    monkeypatch.setattr(completing, "probe", counted)
    yield counted
    counted.may_end.set()


def sent(api: Client, content: bytes) -> dict[str, Any]:
    issued = ticket(api, len(content))
    assert put(issued, content).status_code == 200
    return issued


def test_of_many_requests_to_complete_one_upload_one_checks_it(
    api: Client, probes: Probes, clip: Path
) -> None:
    issued = sent(api, clip.read_bytes())
    probes.may_end.clear()
    with ThreadPoolExecutor(1) as first:
        checking = first.submit(complete, api, issued)
        wait_until(lambda: probes.runs == 1)
        others = [complete(api, issued) for _ in range(5)]
        probes.may_end.set()
        assert checking.result().status_code == 200
    assert {(o.status_code, o.json()["code"], o.json()["retryable"]) for o in others} == {
        (409, "upload_in_check", True)
    }
    assert all(int(o.headers["Retry-After"]) >= 1 for o in others)
    assert complete(api, issued).json() == checking.result().json()
    assert probes.runs == 1


def test_a_file_that_is_refused_is_looked_at_once(api: Client, probes: Probes) -> None:
    issued = sent(api, b"x" * 1000)
    answers = [complete(api, issued) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {422}
    assert len({(answer.json()["code"], answer.json()["detail"]) for answer in answers}) == 1
    assert probes.runs == 1


def test_after_a_failure_of_ours_the_next_check_waits(
    api: Client, world: World, probes: Probes, clip: Path
) -> None:
    issued = sent(api, clip.read_bytes())
    probes.fails_with = OSError("the disk is away")
    assert complete(api, issued).status_code == 503
    probes.fails_with = None
    assert complete(api, issued).json()["code"] == "upload_in_check"
    assert probes.runs == 1
    with session_of(world.superuser) as session:
        session.execute(update(Upload).values(checking_until=func.now()))
    assert complete(api, issued).status_code == 200


def claimed_until(world: World) -> datetime:
    until: datetime | None = world.only(Upload).checking_until
    assert until is not None
    return until


def test_a_check_that_lasts_keeps_its_claim(
    api: Client, world: World, probes: Probes, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_claim, "RENEWED_EVERY_SEC", 0.05)
    issued = sent(api, clip.read_bytes())
    probes.may_end.clear()
    with ThreadPoolExecutor(1) as first:
        checking = first.submit(complete, api, issued)
        wait_until(lambda: probes.runs == 1)
        before = claimed_until(world)
        wait_until(lambda: claimed_until(world) > before + timedelta(seconds=0.2))
        probes.may_end.set()
        assert checking.result().status_code == 200


def test_a_check_whose_claim_lapsed_leaves_the_claim_of_the_next(
    api: Client, world: World, probes: Probes, clip: Path
) -> None:
    issued = sent(api, clip.read_bytes())
    probes.may_end.clear()
    with ThreadPoolExecutor(1) as first:
        checking = first.submit(complete, api, issued)
        wait_until(lambda: probes.runs == 1)
        theirs = claimed_until(world) + timedelta(seconds=1)
        with session_of(world.superuser) as session:
            session.execute(update(Upload).values(checking_until=theirs))
        probes.fails_with = OSError("the disk is away")
        probes.may_end.set()
        assert checking.result().status_code == 503
    assert claimed_until(world) == theirs


def test_an_owner_has_few_checks_at_once(
    api: Client, probes: Probes, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.access.work_at_once.Bound.owner", 100)  # the rows count alone
    uploads = [sent(api, clip.read_bytes()) for _ in range(3)]
    probes.may_end.clear()
    with ThreadPoolExecutor(2) as pool:
        checking = [pool.submit(complete, api, issued) for issued in uploads[:2]]
        wait_until(lambda: probes.runs == 2)
        refused = complete(api, uploads[2])
        probes.may_end.set()
        assert {future.result().status_code for future in checking} == {200}
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_checks")
    assert complete(api, uploads[2]).status_code == 200


def test_over_all_processes_one_request_checks_an_upload(
    api: Client, world: World, environment: Mapping[str, str], tmp_path: Path, clip: Path
) -> None:
    issued = sent(api, clip.read_bytes())
    with gunicorn(environment, tmp_path / "log") as served:

        def ask(_: int) -> requests.Response:
            return requests.post(
                f"{served}/api/uploads/{issued['upload_id']}/complete",
                headers={"Authorization": f"Bearer {token()}"},
                timeout=PATIENCE_SEC,
            )

        with ThreadPoolExecutor(32) as callers:
            answers = Counter(answer.status_code for answer in callers.map(ask, range(64)))
    # 429: more at once than one owner may have; 503: more than a busy machine has connections for
    assert answers.keys() <= {200, 409, 429, 503}
    assert answers[200] >= 1
    assert world.only(Upload).checks == 1
