"""What a video's life leaves in the counters, as the use cases live it."""

from collections.abc import Iterable, Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import expire
from pipeline.records import provider_calls
from pipeline.runtime.database import session_of
from pipeline.runtime.metric_families import KeptCount, kept_counts
from tests.integration.pipeline.conftest import World
from tests.scripted_provider import callback

Sums = dict[tuple[str, ...], int]


def sums(engine: Engine, name: str) -> Sums:
    with session_of(engine) as session:
        return dict(_summed(kept_counts(session).get(name, ())))


def _summed(rows: Iterable[KeptCount]) -> Iterator[tuple[tuple[str, ...], int]]:
    totals: Sums = {}
    for row in rows:
        totals[row.labels] = totals.get(row.labels, 0) + row.total
    return ((labels, total) for labels, total in totals.items() if total)


def test_a_video_that_succeeds_is_counted_once_at_each_step(world: World) -> None:
    asset_id = world.create()
    for _ in range(2):  # a task that runs twice counts once
        submit(world.services, asset_id)
    signed = callback(world.provider.finish(world.attempt_id(asset_id)))
    received = world.receive(signed)
    assert received.wake is not None
    assert world.receive(signed).kind == "duplicate"
    for _ in range(2):
        reconcile(world.services, received.wake.id)

    here = world.operator
    assert sums(here, "khronika_assets") == {("completed",): 1}
    assert sums(here, "khronika_assets_ended") == {("completed", ""): 1}
    assert sums(here, "khronika_attempts") == {
        ("selfhosted", "accepted", ""): 1,
        ("selfhosted", "completed", ""): 1,
    }
    assert sums(here, "khronika_stage_duration_seconds") == {
        ("prepare", "selfhosted", "accepted"): 1,
        ("submit", "selfhosted", "accepted"): 1,
        ("process", "selfhosted", "completed"): 1,
    }
    assert sums(here, "khronika_callbacks") == {
        ("selfhosted", "stored"): 1,
        ("selfhosted", "applied"): 1,
    }
    assert sums(here, "khronika_events") == {
        (type_, "selfhosted", ""): 1
        for type_ in ("created", "claimed", "source_verified", "submitted", "completed")
    }
    for name in ("queue_wait", "time_to_ready", "time_to_playable"):
        assert sums(here, f"khronika_{name}_seconds") == {(): 1}
    assert sums(here, "khronika_provider_calls") == {("selfhosted", "submit", "ok"): 1}
    assert sums(here, "khronika_provider_call_seconds") == {("selfhosted", "submit"): 1}


@pytest.mark.parametrize("answer", ["400", "429"])
def test_a_refused_submission_is_counted_by_its_code(world: World, answer: str) -> None:
    world.provider.script = [answer]
    asset_id = world.create()
    submit(world.services, asset_id)

    code = world.asset(asset_id).error_code
    assert code is not None
    assert sums(world.operator, "khronika_provider_calls") == {("selfhosted", "submit", code): 1}
    [(attempt, total)] = sums(world.operator, "khronika_attempts").items()
    assert (attempt[0], attempt[2], total) == ("selfhosted", code, 1)


def test_a_worker_that_is_lost_shows_as_a_takeover(world: World) -> None:
    asset_id = world.create()
    world.provider.script = ["drop"]
    submit(world.services, asset_id)
    world.make_past(asset_id, "lease_expires_at")
    submit(world.services, asset_id)

    taken_over = ("lease_taken_over", "selfhosted", "")
    assert sums(world.operator, "khronika_events")[taken_over] == 1


def test_a_wait_that_expires_is_a_failure_with_its_code(world: World) -> None:
    asset_id = world.create()
    world.make_past(asset_id, "deadline_at")
    expire(world.services, asset_id)

    assert sums(world.operator, "khronika_assets_ended") == {("failed", "expired"): 1}
    assert sums(world.operator, "khronika_failures") == {("expired",): 1}


def test_a_call_that_cannot_be_counted_is_made_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_session: Session, *_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(provider_calls, "count_call", away)
    assert submit(world.services, world.create()).result == "submitted"
