"""A vendor that refuses the account in mid-flight: seen at once, no failure, and never for ever."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pipeline.config.task_names import TASK_RECONCILE, wake_poll
from pipeline.domain.states import Status
from pipeline.domain.values import Phase
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.sweep import sweep
from pipeline.operations.purge import purge
from pipeline.records import account_states
from pipeline.runtime.database import session_of
from tests.integration.pipeline.vendors.at_vendor import TRIES_ARE_DUE, AtVendor
from tests.vendors.accounts import ACCOUNT, SPARE
from tests.vendors.fake import FakeVendor

pytestmark = pytest.mark.usefixtures("other")
FOLLOW_UPS = {"api_video": "poster", "cloudflare_stream": "ask_mp4"}
LOOKS = ["api_video", "cloudflare_stream", "mux"]
"""Adapters whose callbacks make us ask the vendor."""
AN_HOUR_AGO = (
    "UPDATE provider_attempts SET vendor ="
    " jsonb_set(vendor, '{refused_at}', to_jsonb(now() - interval '1 hour'))"
    " WHERE vendor ? 'refused_at'"
)


def refuse(fake: FakeVendor, status: int = 401) -> None:
    """Let the vendor refuse every call of the account."""
    for call in fake.calls:
        fake.script[call] = [str(status)] * 50


def problem_of(at_vendor: AtVendor) -> str | None:
    with session_of(at_vendor.services.engine) as session:
        row = account_states.all_states(session).get(ACCOUNT)
        return row.problem if row else None


def refusals(at_vendor: AtVendor, asset_id: UUID) -> Sequence[str]:
    """The refusals in the chronicle, by the call that was refused."""
    events = at_vendor.world.chronicle(asset_id)
    return [each.detail["call"] for each in events if each.type == "account_refused"]


def is_marked(at_vendor: AtVendor, asset_id: UUID) -> bool:
    """True if the current attempt knows of a refusal that no good answer has followed."""
    return "refused_at" in at_vendor.attempts(asset_id)[-1].vendor


def mend(at_vendor: AtVendor) -> None:
    """Let the vendor accept the account again, as another call has shown."""
    at_vendor.fake.script.clear()
    with session_of(at_vendor.services.engine) as session:
        account_states.clear_problem(session, ACCOUNT)


def pass_deadline(at_vendor: AtVendor) -> None:
    at_vendor.world.execute("UPDATE video_assets SET deadline_at = now() - interval '1 s'")


def leave_alone(at_vendor: AtVendor) -> None:
    """Let no other account take a job."""
    with session_of(at_vendor.services.engine) as session:
        account_states.set_state(session, SPARE, "disabled")


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_poll_is_seen_at_once_and_goes_on_when_the_account_is_mended(
    at_vendor: AtVendor, spare: AtVendor, status: int
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    refuse(fake, status)

    for _ in range(3):
        assert at_vendor.poll(asset_id).startswith("waiting")

    waits = world.asset(asset_id)
    assert (waits.status, waits.failures, waits.attempt) == (Status.PROCESSING, 0, 1)
    assert problem_of(at_vendor)
    assert refusals(at_vendor, asset_id) == ["fetch"], "once, not at every poll"

    fake.script.clear()
    at_vendor.move(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()

    done = world.asset(asset_id)
    assert (done.status, done.failures, done.attempt) == (Status.COMPLETED, 0, 1)
    assert problem_of(at_vendor) is None
    assert spare.fake.jobs == {}


def test_a_job_whose_account_stays_refused_goes_to_the_next_account(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    refuse(fake)
    at_vendor.poll(asset_id)
    world.execute(AN_HOUR_AGO)

    assert at_vendor.poll(asset_id) == "retrying"

    held = world.asset(asset_id)
    assert (held.hold_reason, held.failures) == ("provider_account", 0)
    assert at_vendor.submit(asset_id) == "submitted"
    spare.tell(asset_id, Phase.COMPLETED)
    fake.script.clear()
    at_vendor.come_to_rest(spare.fake)
    done = world.asset(asset_id)
    assert (done.status, done.provider, done.failures) == (Status.COMPLETED, SPARE, 0)
    assert fake.billed == [], "the job of the first account is released once it takes calls again"


def test_a_refused_job_is_no_failure_of_its_account_in_the_next_choice(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    asset_id = at_vendor.submitted()
    at_vendor.fake.move(at_vendor.job(asset_id).job_id, Phase.CANCELLED)
    at_vendor.world.execute("UPDATE video_assets SET failures = 1")
    refuse(at_vendor.fake)
    at_vendor.poll(asset_id)
    at_vendor.world.execute(AN_HOUR_AGO)
    at_vendor.poll(asset_id)

    with session_of(at_vendor.services.engine) as session:
        found = account_states.failures_of(session, asset_id, 1, spent=1, repeating=())

    assert found == {}
    assert spare.fake.jobs == {}


def test_without_another_account_a_refused_job_outlives_its_deadline(
    at_vendor: AtVendor,
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    leave_alone(at_vendor)
    refuse(fake)
    at_vendor.poll(asset_id)
    world.execute(AN_HOUR_AGO)
    world.execute("UPDATE video_assets SET deadline_at = now() - interval '1 s'")

    assert at_vendor.poll(asset_id).startswith("waiting")
    sweep(at_vendor.services)

    waits = world.asset(asset_id)
    assert (waits.status, waits.failures) == (Status.PROCESSING, 0)
    fake.script.clear()
    at_vendor.move(asset_id, Phase.COMPLETED)
    at_vendor.come_to_rest()
    assert (world.asset(asset_id).status, world.asset(asset_id).attempt) == (Status.COMPLETED, 1)


def test_a_deadline_that_passes_during_a_refusal_hands_the_asset_on_without_a_failure(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    asset_id = at_vendor.submitted()
    refuse(at_vendor.fake)
    at_vendor.poll(asset_id)
    at_vendor.world.execute("UPDATE video_assets SET deadline_at = now() - interval '1 s'")

    sweep(at_vendor.services)

    held = at_vendor.world.asset(asset_id)
    assert (held.hold_reason, held.failures) == ("provider_account", 0)
    assert at_vendor.submit(asset_id) == "submitted"
    assert len(spare.fake.billed) == 1


def test_a_refused_look_up_is_seen_at_once_and_goes_on_elsewhere_in_time(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    fake.script["submit"] = ["drop"]
    asset_id = at_vendor.create()
    assert at_vendor.submit(asset_id) == "unanswered"
    refuse(fake)
    world.make_past(asset_id, "lease_expires_at")

    assert at_vendor.take_over(asset_id) == "unanswered"

    assert refusals(at_vendor, asset_id) == ["find"]
    assert problem_of(at_vendor)
    world.execute(AN_HOUR_AGO)
    world.make_past(asset_id, "lease_expires_at")
    assert at_vendor.take_over(asset_id) == "retrying"
    assert world.asset(asset_id).failures == 0
    assert at_vendor.submit(asset_id) == "submitted"
    fake.script.clear()
    at_vendor.come_to_rest(spare.fake)
    assert world.asset(asset_id).provider == SPARE
    assert fake.billed == []


@pytest.mark.parametrize("adapter", sorted(FOLLOW_UPS), indirect=True)
def test_a_refused_follow_up_is_seen_at_once_and_counts_from_its_first_refusal(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted(poster_time_sec=1.0)
    at_vendor.move(asset_id, Phase.COMPLETED)
    fake.script[FOLLOW_UPS[fake.adapter]] = ["403"] * 50

    for _ in range(2):
        assert at_vendor.poll(asset_id).startswith("waiting")

    assert refusals(at_vendor, asset_id) == ["advance"]
    assert world.asset(asset_id).failures == 0
    world.execute(AN_HOUR_AGO)
    assert at_vendor.poll(asset_id) == "retrying"
    at_vendor.come_to_rest(spare.fake)
    done = world.asset(asset_id)
    assert (done.status, done.provider) == (Status.COMPLETED, SPARE)
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
    purge(at_vendor.services)
    at_vendor.come_to_rest()
    assert fake.billed == [], "its manifest was published until that of the other replaced it"


@pytest.mark.parametrize("adapter", LOOKS, indirect=True)
def test_a_callback_that_cannot_be_asked_about_is_seen_in_the_chronicle(
    at_vendor: AtVendor,
) -> None:
    asset_id = at_vendor.submitted()
    refuse(at_vendor.fake)

    told = at_vendor.tell(asset_id, Phase.COMPLETED)

    assert all((each.applied or "").startswith("waiting") for each in told)
    assert refusals(at_vendor, asset_id) == ["fetch"]
    at_vendor.fake.script.clear()
    at_vendor.come_to_rest()
    assert at_vendor.world.asset(asset_id).status is Status.COMPLETED


def test_a_refused_release_is_seen_and_paid_when_the_account_is_mended(
    at_vendor: AtVendor,
) -> None:
    asset_id = at_vendor.submitted()
    attempt_id = at_vendor.world.attempt_id(asset_id)
    at_vendor.cancel(asset_id)
    refuse(at_vendor.fake)

    assert release(at_vendor.services, attempt_id).result.startswith("waiting")

    assert problem_of(at_vendor)
    at_vendor.fake.script.clear()
    at_vendor.come_to_rest()
    assert at_vendor.fake.billed == []
    assert problem_of(at_vendor) is None


def test_a_video_on_the_move_waits_for_the_account_that_it_is_to_move_to(
    at_vendor: AtVendor, spare: AtVendor
) -> None:
    world = at_vendor.world
    asset_id = at_vendor.submitted()
    world.execute("UPDATE video_assets SET wanted_provider = :name", name=ACCOUNT)
    refuse(at_vendor.fake)
    at_vendor.poll(asset_id)
    world.execute(AN_HOUR_AGO)

    assert at_vendor.poll(asset_id).startswith("waiting")

    assert world.asset(asset_id).status is Status.PROCESSING
    assert spare.fake.jobs == {}


def test_a_deadline_that_passes_as_the_account_is_accepted_again_is_moved_once(
    at_vendor: AtVendor,
) -> None:
    world = at_vendor.world
    asset_id = at_vendor.submitted()
    refuse(at_vendor.fake)
    at_vendor.poll(asset_id)
    mend(at_vendor)
    pass_deadline(at_vendor)

    woken = sweep(at_vendor.services).wakes

    waits = world.asset(asset_id)
    assert (waits.status, waits.failures, waits.attempt) == (Status.PROCESSING, 0, 1)
    assert wake_poll(asset_id) in woken
    now = datetime.now(UTC)
    assert waits.next_poll_at is not None
    assert waits.deadline_at is not None
    assert waits.next_poll_at <= now < waits.deadline_at - timedelta(minutes=10)
    pass_deadline(at_vendor)
    sweep(at_vendor.services)
    assert (world.asset(asset_id).status, world.asset(asset_id).failures) == (Status.RETRYING, 1)


def test_a_job_that_ended_during_a_refusal_is_no_failure_at_its_deadline(
    at_vendor: AtVendor,
) -> None:
    asset_id = at_vendor.submitted()
    refuse(at_vendor.fake)
    at_vendor.poll(asset_id)
    mend(at_vendor)
    at_vendor.move(asset_id, Phase.COMPLETED)
    pass_deadline(at_vendor)

    at_vendor.come_to_rest()

    done = at_vendor.world.asset(asset_id)
    assert (done.status, done.failures, done.attempt) == (Status.COMPLETED, 0, 1)


def test_a_refused_look_up_is_repeated_before_its_deadline_counts(at_vendor: AtVendor) -> None:
    at_vendor.fake.script["submit"] = ["drop"]
    asset_id = at_vendor.create()
    assert at_vendor.submit(asset_id) == "unanswered"
    refuse(at_vendor.fake)
    at_vendor.world.make_past(asset_id, "lease_expires_at")
    at_vendor.take_over(asset_id)
    mend(at_vendor)
    pass_deadline(at_vendor)

    sweep(at_vendor.services)

    waits = at_vendor.world.asset(asset_id)
    assert (waits.status, waits.failures) == (Status.PROCESSING, 0)
    at_vendor.world.make_past(asset_id, "lease_expires_at")
    at_vendor.take_over(asset_id)
    at_vendor.come_to_rest(at_vendor.fake)
    done = at_vendor.world.asset(asset_id)
    assert (done.status, done.failures) == (Status.COMPLETED, 0)


@pytest.mark.parametrize("fate", ["drop", "lose"])
def test_a_look_up_that_is_answered_ends_a_refusal(at_vendor: AtVendor, fate: str) -> None:
    at_vendor.fake.script["submit"] = [fate]
    asset_id = at_vendor.create()
    assert at_vendor.submit(asset_id) == "unanswered"
    refuse(at_vendor.fake)
    at_vendor.world.make_past(asset_id, "lease_expires_at")
    at_vendor.take_over(asset_id)
    assert is_marked(at_vendor, asset_id)
    at_vendor.fake.script.clear()
    at_vendor.world.make_past(asset_id, "lease_expires_at")

    at_vendor.take_over(asset_id)

    assert not is_marked(at_vendor, asset_id)


@pytest.mark.parametrize("adapter", LOOKS, indirect=True)
def test_a_callback_that_is_asked_about_ends_a_refusal(at_vendor: AtVendor) -> None:
    asset_id = at_vendor.submitted()
    refuse(at_vendor.fake)
    at_vendor.tell(asset_id, Phase.COMPLETED)
    assert is_marked(at_vendor, asset_id)
    at_vendor.fake.script.clear()
    at_vendor.world.execute(TRIES_ARE_DUE)

    for wake in sweep(at_vendor.services).wakes:
        if wake.task == TASK_RECONCILE:
            reconcile(at_vendor.services, wake.id)

    assert not is_marked(at_vendor, asset_id)
