"""The pace of an account: many videos at once, and few refusals by the vendor."""

import threading
from datetime import UTC, datetime
from itertools import pairwise
from uuid import uuid4

import pytest
from sqlalchemy import text

from pipeline.config.groups import load_settings
from pipeline.domain.errors import RefusedForNow
from pipeline.domain.states import Status
from pipeline.domain.values import JobRef, Rate, Verb
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.process_settings import WorkerSettings
from pipeline.records import account_states
from pipeline.runtime.database import session_of
from pipeline.services import Services
from tests.integration.pipeline.conftest import World
from tests.scripted_provider import Limit

ASSETS = 24
PER_SEC = 5.0
MOST_REFUSED = 0.05
"""Share of refused calls. Turns here are a fifth of a second, so a busy machine misses some."""


@pytest.fixture
def settings(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    monkeypatch.setenv("KHRONIKA_SELFHOSTED_WRITES_PER_SEC", str(PER_SEC))
    monkeypatch.setenv("KHRONIKA_WAKE_GRACE_SEC", "0.5")  # creation has woken all, and nobody came
    return load_settings(WorkerSettings)


def work(services: Services, until_none: threading.Event) -> None:
    """Do as a worker and its sweep, until every asset is submitted."""
    while not until_none.is_set():
        for wake in sweep(services).wakes:
            if wake.task.endswith("submit_asset"):
                submit(services, wake.id)
        until_none.wait(0.02)


def count(world: World, condition: str) -> int:
    with session_of(world.services.engine) as session:
        query = f"SELECT count(*) FROM video_assets WHERE {condition}"
        return int(session.scalars(text(query)).one())


def test_many_videos_at_once_are_submitted_at_the_vendors_pace(world: World) -> None:
    world.provider.limit = Limit(PER_SEC)
    for _ in range(ASSETS):
        world.create()
    done = threading.Event()
    workers = [threading.Thread(target=work, args=(world.services, done)) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        while count(world, "provider_job_id IS NULL"):
            assert not done.wait(0.1)
    finally:
        done.set()
        for worker in workers:
            worker.join()

    assert len(world.provider.puts) == len(set(world.provider.puts)) == ASSETS
    assert world.provider.limit.refused <= MOST_REFUSED * ASSETS
    assert count(world, "attempt > 1") <= MOST_REFUSED * ASSETS


def test_an_asset_waits_for_its_turn_without_an_attempt_and_says_so_once(world: World) -> None:
    assets = [world.create() for _ in range(4)]
    with world.capabilities(pace={Verb.WRITE: Rate(per_sec=0.1)}):
        results = [submit(world.services, asset_id).result for asset_id in assets]

    assert results == ["submitted", "held", "held", "held"]
    waiting = [world.asset(each) for each in assets[1:]]
    assert {(each.status, each.hold_reason, each.attempt) for each in waiting} == {
        (Status.QUEUED, "provider_paced", 0)
    }
    instants = [each.next_attempt_at for each in waiting if each.next_attempt_at is not None]
    gaps = [(after - before).total_seconds() for before, after in pairwise(instants)]
    assert all(9 < gap < 11 for gap in gaps), "each has a turn of its own"
    assert all(world.types(each.id).count("held") == 1 for each in waiting)


def test_a_turn_that_is_too_far_away_is_not_awaited(world: World) -> None:
    slow = Rate(per_sec=0.01)
    with session_of(world.services.engine) as session:
        for _ in range(2):
            account_states.take_turn(session, "selfhosted", Verb.READ, slow, most_wait_sec=3600)
    job = JobRef(uuid4(), None, datetime.now(UTC))

    with world.capabilities(pace={Verb.READ: slow}), pytest.raises(RefusedForNow, match="turn"):
        world.services.providers["selfhosted"].find(job)


@pytest.mark.parametrize("burst", [1, 3])
def test_a_burst_passes_at_once_and_the_next_call_waits(world: World, burst: int) -> None:
    rate = Rate(per_sec=0.1, burst=burst)
    with session_of(world.services.engine) as session:
        waits = [
            account_states.take_turn(
                session, "selfhosted", Verb.WRITE, rate, most_wait_sec=60
            ).wait_sec
            for _ in range(burst + 1)
        ]

    assert waits[:burst] == [0.0] * burst
    assert 5 < waits[burst] <= 10


def test_a_pause_holds_every_call_of_the_account(world: World) -> None:
    with session_of(world.services.engine) as session:
        account_states.pause(session, "selfhosted", 3600)
        account_states.pause(session, "selfhosted", 1)  # a shorter one does not end it

    with pytest.raises(RefusedForNow):
        world.services.providers["selfhosted"].find(JobRef(uuid4(), None, datetime.now(UTC)))
