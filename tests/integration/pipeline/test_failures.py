from datetime import UTC, datetime
from uuid import UUID

import pytest

from pipeline.config.task_names import wake_poll, wake_release, wake_submit
from pipeline.domain.errors import Conflict, StaleTransition
from pipeline.domain.failures import FAILURES
from pipeline.domain.states import Status
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import expire, sweep
from pipeline.records import transitions
from pipeline.records.store import advance
from pipeline.runtime.database import user_session
from pipeline.services import Outcome
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.steps import report, retry
from tests.scripted_provider import callback


def fail(world: World, asset_id: UUID, code: str = "encode_failed", *, retryable: bool) -> str:
    job = world.provider.fail(world.attempt_id(asset_id), code, retryable=retryable)
    return report(world, job, "job.failed")


def try_again(world: World, asset_id: UUID) -> None:
    world.make_past(asset_id, "next_attempt_at")
    assert submit(world.services, asset_id).result == "submitted"


def test_a_terminal_failure_says_what_happened_and_what_to_do(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)

    assert fail(world, asset_id, "source_corrupt", retryable=False) == "failed"

    asset = world.asset(asset_id)
    assert asset.status is Status.FAILED
    assert asset.error_code == "source_corrupt"
    assert asset.error_message == (
        "This video is damaged or incomplete. Upload another copy of the video."
    )
    assert asset.deadline_at is None


def test_a_failure_in_passing_is_retried_with_a_new_attempt(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    first = world.attempt_id(asset_id)

    assert fail(world, asset_id, retryable=True) == "retrying"
    waiting = world.asset(asset_id)
    assert waiting.failures == 1
    assert waiting.next_attempt_at is not None
    assert submit(world.services, asset_id).result == "nothing_to_submit"

    try_again(world, asset_id)
    assert world.attempt_id(asset_id) != first
    assert world.asset(asset_id).attempt == 2
    assert report(world, world.provider.finish(world.attempt_id(asset_id))) == "completed"


def test_an_exhausted_budget_ends_the_asset_with_its_own_event(world: World) -> None:
    asset_id = world.create()
    for _ in range(2):
        submit(world.services, asset_id)
        fail(world, asset_id, retryable=True)
        world.make_past(asset_id, "next_attempt_at")
    submit(world.services, asset_id)

    assert fail(world, asset_id, retryable=True) == "failed"

    assert world.types(asset_id)[-1] == "retry_exhausted"
    failed = world.asset(asset_id)
    assert failed.error_code == "encode_failed"
    assert failed.error_message is not None
    assert FAILURES["encode_failed"].sentence in failed.error_message
    assert FAILURES["retry_exhausted"].sentence in failed.error_message
    assert world.chronicle(asset_id)[-1].detail["code"] == "encode_failed"


def test_a_provider_that_will_not_take_the_job_now_costs_no_budget(world: World) -> None:
    world.provider.script = ["503", "429"]
    asset_id = world.create()

    assert submit(world.services, asset_id).result == "retrying"
    held = world.asset(asset_id)
    assert (held.failures, held.hold_reason) == (0, "provider_failed")
    world.make_past(asset_id, "next_attempt_at")
    assert submit(world.services, asset_id).result == "retrying"
    try_again(world, asset_id)

    assert world.asset(asset_id).failures == 0
    assert world.asset(asset_id).hold_reason is None
    assert len(world.provider.jobs) == 1


def test_a_refusal_by_the_provider_is_final(world: World) -> None:
    world.provider.script = ["400"]
    asset_id = world.create()

    assert submit(world.services, asset_id).result == "failed"
    assert world.asset(asset_id).error_code == "provider_refused"


@pytest.mark.parametrize("lost", ["drop", "500"])
def test_a_lost_answer_is_resolved_without_a_second_job(world: World, lost: str) -> None:
    world.provider.script = [lost]
    asset_id = world.create()

    assert submit(world.services, asset_id).result == "unanswered"
    assert world.asset(asset_id).status is Status.PROCESSING
    world.make_past(asset_id, "lease_expires_at")
    assert submit(world.services, asset_id).result == "submitted"

    assert len(world.provider.jobs) == 1
    assert set(world.provider.puts) == {world.attempt_id(asset_id)}
    assert world.asset(asset_id).attempt == 1
    assert "lease_taken_over" in world.types(asset_id)


def test_a_worker_that_dies_after_its_claim_is_taken_over_in_the_same_attempt(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    # As if the worker had been killed before it wrote the provider's answer down.
    world.execute(
        "UPDATE video_assets SET provider_job_id = NULL, next_poll_at = NULL,"
        " lease_expires_at = now() - interval '1 s' WHERE id = :id",
        id=asset_id,
    )

    assert wake_submit(asset_id) in sweep(world.services).wakes
    assert submit(world.services, asset_id).result == "submitted"

    assert world.attempt_id(asset_id) == attempt_id
    assert len(world.provider.jobs) == 1


def test_an_asset_that_keeps_killing_its_worker_fails_as_worker_crashed(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    world.execute(
        "UPDATE video_assets SET claims = 3, lease_expires_at = now() - interval '1 s'"
        " WHERE id = :id",
        id=asset_id,
    )

    outcome = submit(world.services, asset_id)

    assert outcome.result == "worker_crashed"
    assert outcome.wakes == (wake_release(world.attempt_id(asset_id)),)
    assert world.asset(asset_id).error_code == "worker_crashed"


def test_a_stale_worker_cannot_write(world: World) -> None:
    asset_id = world.create()
    read_before = world.asset(asset_id)
    submit(world.services, asset_id)
    current = world.asset(asset_id)
    read_before.status = current.status  # it even guessed the state right

    with (
        pytest.raises(StaleTransition),
        user_session(world.services.engine, "nobody") as session,
    ):
        advance(session, read_before, transitions.cancelled("owner:ana"))

    assert world.asset(asset_id).lease_token == current.lease_token


def test_an_old_attempts_failure_does_not_fail_the_new_one(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    old = world.provider.fail(world.attempt_id(asset_id), "encode_failed", retryable=True)
    report(world, old, "job.failed")
    try_again(world, asset_id)

    assert report(world, old, "job.failed") == "ignored: old_attempt"

    assert world.asset(asset_id).status is Status.PROCESSING
    assert world.chronicle(asset_id)[-1].type == "callback_ignored"
    assert world.chronicle(asset_id)[-1].detail["reason"] == "old_attempt"


@pytest.mark.parametrize("waiting_for", ["retrying", "failed", "queued", "newer attempt"])
def test_a_late_success_is_used(world: World, waiting_for: str) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    old = world.attempt_id(asset_id)
    world.make_past(asset_id, "deadline_at")
    assert expire(world.services, asset_id).wakes == (wake_release(old),)
    if waiting_for in {"failed", "queued"}:
        world.execute(
            "UPDATE video_assets SET status = 'failed', error_code = 'expired',"
            " next_attempt_at = NULL, deadline_at = NULL WHERE id = :id",
            id=asset_id,
        )
    if waiting_for == "queued":
        retry(world, asset_id)
    if waiting_for == "newer attempt":
        try_again(world, asset_id)

    assert report(world, world.provider.finish(old)) == "late_success"

    asset = world.asset(asset_id)
    assert asset.status is Status.COMPLETED
    assert asset.attempt_id == old
    assert asset.error_code is None


def test_a_newer_attempt_is_released_when_an_older_one_succeeds(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    old = world.attempt_id(asset_id)
    world.make_past(asset_id, "deadline_at")
    expire(world.services, asset_id)
    try_again(world, asset_id)
    newer = world.attempt_id(asset_id)
    report(world, world.provider.finish(old))

    owed = [wake for wake in sweep(world.services).wakes if wake == wake_release(newer)]
    assert owed
    assert release(world.services, newer).result == "released"
    assert release(world.services, newer).result == "nothing_owed"
    assert newer in world.provider.cancelled


def test_a_job_whose_callback_lies_unread_is_not_given_up(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    received = world.receive(callback(world.provider.finish(attempt_id)))
    world.make_past(asset_id, "deadline_at")
    world.execute(
        "UPDATE webhook_deliveries SET received_at = received_at - interval '10 s', "
        "next_try_at = received_at - interval '10 s' WHERE provider = 'selfhosted'"
    )

    assert expire(world.services, asset_id) == Outcome("inbox_first")
    assert received.wake is not None
    reconcile(world.services, received.wake.id)

    assert world.asset(asset_id).status is Status.COMPLETED
    assert len(world.provider.puts) == 1


@pytest.mark.parametrize(
    "time_passes",
    [
        None,
        # It was read, and its account must answer first.
        (
            "UPDATE webhook_deliveries SET received_at = now() - interval '1 min', "
            "next_try_at = now() - interval '30 s'"
        ),
        # It lies unread for longer than any backlog.
        (
            "UPDATE video_assets SET deadline_at = now() - interval '6 min'; "
            "UPDATE webhook_deliveries SET received_at = now() - interval '7 min', "
            "next_try_at = now() - interval '7 min'"
        ),
    ],
    ids=["it came too late", "it was read in vain", "nobody reads it"],
)
def test_a_callback_holds_no_deadline_up_for_long(world: World, time_passes: str | None) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    world.make_past(asset_id, "deadline_at")
    world.receive(callback(world.provider.finish(world.attempt_id(asset_id))))
    for statement in (time_passes or "").split("; "):
        if statement:
            world.execute(statement)

    assert expire(world.services, asset_id).result == "retrying"


def test_nothing_resurrects_a_cancelled_asset(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    world.execute(
        "UPDATE video_assets SET status = 'failed', error_code = 'cancelled',"
        " next_poll_at = NULL, deadline_at = NULL, lease_token = lease_token + 1 WHERE id = :id",
        id=asset_id,
    )

    assert report(world, world.provider.finish(attempt_id)) == "ignored: asset_cancelled"
    assert world.asset(asset_id).status is Status.FAILED


def test_a_lost_callback_is_replaced_by_a_poll_and_counted(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    world.provider.finish(world.attempt_id(asset_id))
    world.make_past(asset_id, "next_poll_at")

    assert wake_poll(asset_id) in sweep(world.services).wakes
    assert poll(world.services, asset_id).result == "completed"

    assert world.types(asset_id)[-2:] == ["completed", "callback_missed"]
    assert poll(world.services, asset_id).result == "not_due"


def test_a_job_the_provider_lost_is_tried_again(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    world.provider.jobs.clear()
    world.make_past(asset_id, "next_poll_at")

    assert poll(world.services, asset_id).result == "retrying"


def test_a_deadline_ends_a_wait_that_nobody_ended(world: World) -> None:
    asset_id = world.create()
    world.make_past(asset_id, "deadline_at")

    sweep(world.services)

    assert world.asset(asset_id).status is Status.FAILED
    assert world.asset(asset_id).error_code == "expired"


def test_the_sweep_wakes_what_is_due_once_and_again_after_a_grace(world: World) -> None:
    asset_id = world.create()
    assert wake_submit(asset_id) not in sweep(world.services).wakes  # create has just woken it
    world.make_past(asset_id, "woken_at")
    world.execute(
        "UPDATE video_assets SET woken_at = now() - interval '1 hour' WHERE id = :id", id=asset_id
    )

    assert wake_submit(asset_id) in sweep(world.services).wakes
    assert wake_submit(asset_id) not in sweep(world.services).wakes


def test_retry_starts_the_budget_over_and_keeps_the_history(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    fail(world, asset_id, retryable=False)
    before = world.types(asset_id)

    retried = retry(world, asset_id)
    with pytest.raises(Conflict) as refused:
        retry(world, asset_id)

    assert retried.wakes == (wake_submit(asset_id),)
    assert (refused.value.code, refused.value.extra["status"]) == ("not_failed", "queued")
    assert world.asset(asset_id).failures == 0
    assert world.types(asset_id) == [*before, "retried"]
    assert datetime.now(UTC) > world.asset(asset_id).created_at
