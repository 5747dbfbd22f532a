from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from pipeline.config.task_names import wake_reconcile
from pipeline.domain.errors import SignatureInvalid
from pipeline.domain.states import Status
from pipeline.lifecycle.receive_callback import Received
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.records.models import Delivery
from pipeline.runtime.database import session_of
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.steps import report
from tests.scripted_provider import callback


def test_the_same_callback_again_is_recognised_and_applied_once(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    signed = callback(world.provider.finish(world.attempt_id(asset_id)))

    first = world.receive(signed)
    assert world.receive(signed).kind == "duplicate"
    assert first.wake is not None
    reconcile(world.services, first.wake.id)
    assert world.receive(signed).kind == "duplicate"

    assert world.types(asset_id).count("completed") == 1


def test_the_same_id_with_another_body_applies_nothing(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    event_id = "msg_same"
    failed = world.provider.fail(attempt_id, "encode_failed", retryable=False).copy()
    world.receive(callback(failed, "job.failed", event_id=event_id))
    world.provider.job(attempt_id, error=None)

    conflict = world.receive(callback(world.provider.finish(attempt_id), event_id=event_id))

    assert conflict == Received("conflict")
    with session_of(world.services.engine) as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 1


@pytest.mark.parametrize(
    ("shift", "reason"),
    [
        (timedelta(minutes=-6), "stale_timestamp"),
        (timedelta(minutes=6), "future_timestamp"),
    ],
)
def test_a_callback_from_another_time_is_refused(
    world: World, shift: timedelta, reason: str
) -> None:
    job = {"id": str(uuid4()), "status": "running", "progress": 1}

    with pytest.raises(SignatureInvalid) as refused:
        world.receive(callback(job, signed_at=datetime.now(UTC) + shift))

    assert refused.value.extra["reason"] == reason


def test_a_forged_callback_leaves_nothing_in_the_inbox(world: World) -> None:
    job = {"id": str(uuid4()), "status": "running", "progress": 1}
    headers, body = callback(job, secret="whsec_" + "A" * 32)

    with pytest.raises(SignatureInvalid) as refused:
        world.receive((headers, body))

    assert refused.value.extra["reason"] == "bad_signature"
    with session_of(world.services.engine) as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 0


def test_a_signed_body_that_nobody_can_read_is_stored_dead(world: World) -> None:
    assert world.receive(callback({"id": "not a uuid"})).kind == "dead"


def test_a_callback_quicker_than_the_answer_to_the_submission_is_applied(world: World) -> None:
    """The provider finishes and calls back before its own answer has reached us."""
    outcomes: list[str] = []

    def call_back_at_once(attempt_id: UUID) -> None:
        received = world.receive(callback(world.provider.finish(attempt_id)))
        assert received.wake is not None
        outcomes.append(reconcile(world.services, received.wake.id).result)

    world.provider.before_answer = call_back_at_once
    asset_id = world.create()

    assert submit(world.services, asset_id).result == "moved_on"

    asset = world.asset(asset_id)
    assert outcomes == ["completed"]
    assert asset.status is Status.COMPLETED
    assert asset.provider_job_id == str(asset.attempt_id)
    assert not world.provider.cancelled


def test_a_callback_for_an_unknown_job_waits_an_hour_and_is_then_ignored(world: World) -> None:
    received = world.receive(callback({"id": str(uuid4()), "status": "running", "progress": 1}))
    assert received.wake is not None
    delivery_id = received.wake.id

    assert reconcile(world.services, delivery_id).result == "unknown_job"
    assert world.delivery(delivery_id).status == "new"
    world.execute(
        "UPDATE webhook_deliveries SET received_at = now() - interval '61 min',"
        " next_try_at = now() - interval '1 min' WHERE id = :id",
        id=delivery_id,
    )
    assert wake_reconcile(delivery_id) in sweep(world.services).wakes
    assert reconcile(world.services, delivery_id).result == "ignored: unknown_job"
    assert world.delivery(delivery_id).reason == "unknown_job"


def test_a_callback_is_tried_again_the_later_the_longer_it_has_waited(world: World) -> None:
    received = world.receive(callback({"id": str(uuid4()), "status": "running", "progress": 1}))
    assert received.wake is not None
    delays: list[timedelta] = []
    for waited in ("0 s", "5 min"):
        world.execute(
            "UPDATE webhook_deliveries SET next_try_at = now(),"
            " received_at = now() - CAST(:waited AS interval)",
            waited=waited,
        )
        before = datetime.now(UTC)
        reconcile(world.services, received.wake.id)
        next_try_at = world.delivery(received.wake.id).next_try_at
        assert next_try_at is not None
        delays.append(next_try_at - before)

    soon, later = delays
    assert later > timedelta(seconds=45)  # a fifth of 5 min, less its jitter
    assert soon < later / 2


def test_a_delivery_that_kills_its_worker_is_buried(world: World) -> None:
    received = world.receive(callback({"id": str(uuid4()), "status": "running", "progress": 1}))
    assert received.wake is not None
    world.execute("UPDATE webhook_deliveries SET tries = 5")

    assert reconcile(world.services, received.wake.id).result == "dead: worker_crashed"
    assert reconcile(world.services, received.wake.id).result == "not_due"


def test_progress_moves_forward_only_and_is_no_event(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    for percent in (40.0, 20.0):
        job = world.provider.job(attempt_id, status="running", progress=percent)
        report(world, job, "job.progress")

    assert world.asset(asset_id).progress == 40.0
    assert world.types(asset_id)[-1] == "submitted"


def test_the_database_does_not_hold_the_signature(world: World) -> None:
    received = world.receive(callback({"id": str(uuid4()), "status": "running", "progress": 1}))
    assert received.wake is not None

    assert "webhook-signature" not in world.delivery(received.wake.id).headers
