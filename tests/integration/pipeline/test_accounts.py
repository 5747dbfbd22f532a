"""Two provider accounts: which of them gets a job, and what becomes of the jobs of the other."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from pipeline.config.groups import load_settings
from pipeline.domain.states import Status
from pipeline.domain.values import CallbackEnvelope
from pipeline.lifecycle.owner_actions import cancel_asset
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.receive_callback import receive_callback
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.process_settings import WorkerSettings
from pipeline.records import account_states
from pipeline.runtime.database import session_of
from pipeline.services import Services, build_services
from tests.integration.pipeline.conftest import World
from tests.scripted_provider import SECRET, TOKEN, ScriptedProvider, callback, scripted_provider


@pytest.fixture
def second(outputs_folder: Path) -> Iterator[ScriptedProvider]:
    with scripted_provider(outputs_folder) as provider:
        yield provider


@pytest.fixture
def settings(
    settings: WorkerSettings, second: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> WorkerSettings:
    monkeypatch.setenv("KHRONIKA_ACCOUNTS", "selfhosted,second:selfhosted")
    variables = {"URL": second.url, "TOKEN": TOKEN, "OUTPUT_HOSTS": "127.0.0.1"}
    for name, value in variables.items():
        monkeypatch.setenv(f"KHRONIKA_SECOND_{name}", value)
    return load_settings(WorkerSettings)


@dataclass(frozen=True)
class Both:
    """The world with both providers."""

    world: World
    first: ScriptedProvider
    second: ScriptedProvider

    def submit(self, asset_id: UUID) -> str:
        """Let the next attempt be due, and make it."""
        self.world.execute(
            "UPDATE video_assets SET next_attempt_at = now() - interval '1 s' "
            "WHERE id = :id AND next_attempt_at IS NOT NULL",
            id=asset_id,
        )
        return submit(self.world.services, asset_id).result

    def passed_over(self, asset_id: UUID) -> Mapping[str, str]:
        """The accounts that the last claim or hold passed over."""
        events = [
            event
            for event in self.world.chronicle(asset_id)
            if (event.type in {"claimed", "held"} and "code" not in event.detail)
            or "passed_over" in event.detail
        ]
        found: Mapping[str, str] = events[-1].detail.get("passed_over", {})
        return found

    def finish(self, provider: ScriptedProvider, account: str, attempt_id: UUID) -> None:
        """Receive and apply the success of a job."""
        headers, body = callback(provider.finish(attempt_id))
        reconcile(self.world.services, receive_at(self.world, account, headers, body))


def receive_at(world: World, account: str, headers: Mapping[str, str], body: bytes) -> UUID:
    with session_of(world._api) as session:
        received = receive_callback(
            session,
            world.services.providers[account],
            secrets=[SECRET],
            envelope=CallbackEnvelope({k.lower(): v for k, v in headers.items()}, body),
            source="127.0.0.1",
            request_id="test",
            now=datetime.now(UTC),
        )
    assert received.wake is not None
    return received.wake.id


@pytest.fixture
def both(world: World, provider: ScriptedProvider, second: ScriptedProvider) -> Both:
    return Both(world, provider, second)


def test_the_first_account_gets_the_jobs(both: Both) -> None:
    asset_id = both.world.create()

    assert both.submit(asset_id) == "submitted"

    assert (len(both.first.puts), len(both.second.puts)) == (1, 0)
    assert both.passed_over(asset_id) == {}


def test_an_account_that_is_refused_gets_nothing_more_until_it_is_accepted_again(
    both: Both,
) -> None:
    both.first.script = ["401"]
    asset_id = both.world.create()

    assert both.submit(asset_id) == "retrying"
    held = both.world.asset(asset_id)
    assert (held.failures, held.hold_reason) == (0, "provider_account")
    assert both.submit(asset_id) == "submitted"

    assert both.second.puts == [both.world.attempt_id(asset_id)]
    assert both.passed_over(asset_id) == {"selfhosted": "account_problem"}
    with session_of(both.world.services.engine) as session:
        assert account_states.all_states(session)["selfhosted"].problem == "scripted 401"


def test_a_call_that_the_vendor_accepts_ends_the_problem_of_its_account(both: Both) -> None:
    asset_id = both.world.create()
    both.submit(asset_id)
    with session_of(both.world.services.engine) as session:
        account_states.record_problem(session, "selfhosted", "no such key")
    both.world.make_past(asset_id, "next_poll_at")

    poll(both.world.services, asset_id)

    other = both.world.create()
    assert both.submit(other) == "submitted"
    assert both.world.asset(other).provider == "selfhosted"


def test_a_vendor_that_asks_for_a_pause_gets_it_for_the_whole_account(both: Both) -> None:
    both.first.script, both.first.retry_after = ["429"], {"Retry-After": "3600"}
    refused, others = both.world.create(), [both.world.create() for _ in range(3)]

    both.submit(refused)
    assert [both.submit(asset_id) for asset_id in others] == ["submitted"] * 3

    assert len(both.first.puts) == 1
    assert len(both.second.puts) == 3
    assert both.passed_over(others[0]) == {"selfhosted": "paused"}


@pytest.mark.parametrize("state", ["drain", "disabled"])
def test_an_account_that_is_switched_off_gets_no_new_jobs(both: Both, state: str) -> None:
    with session_of(both.world.services.engine) as session:
        account_states.set_state(session, "selfhosted", state)
    asset_id = both.world.create()

    assert both.submit(asset_id) == "submitted"

    assert both.first.puts == []
    reason = {"drain": "draining", "disabled": "disabled"}[state]
    assert both.passed_over(asset_id) == {"selfhosted": reason}


def test_without_any_account_left_an_asset_waits_and_says_why(both: Both) -> None:
    with session_of(both.world.services.engine) as session:
        for name in ("selfhosted", "second"):
            account_states.set_state(session, name, "disabled")
    asset_id = both.world.create()
    deadline_at = both.world.asset(asset_id).deadline_at

    assert both.submit(asset_id) == "held"

    asset = both.world.asset(asset_id)
    assert (asset.status, asset.hold_reason) == (Status.QUEUED, "no_account")
    assert asset.deadline_at == deadline_at, "only an operator helps: it must not wait for ever"
    assert both.passed_over(asset_id) == {"selfhosted": "disabled", "second": "disabled"}


def test_a_job_that_fails_twice_at_one_account_goes_to_another(both: Both) -> None:
    asset_id = both.world.create()
    for _ in range(2):
        assert both.submit(asset_id) == "submitted"
        attempt_id = both.world.attempt_id(asset_id)
        job = both.first.fail(attempt_id, "encode_failed", retryable=True)
        headers, body = callback(job, "job.failed")
        reconcile(both.world.services, receive_at(both.world, "selfhosted", headers, body))

    assert both.submit(asset_id) == "submitted"

    assert (len(both.first.puts), len(both.second.puts)) == (2, 1)
    assert both.passed_over(asset_id) == {"selfhosted": "failed_here_before"}


def test_a_refusal_for_good_at_one_account_is_no_end_while_another_can(both: Both) -> None:
    both.first.script = ["400"]
    asset_id = both.world.create()

    assert both.submit(asset_id) == "retrying"
    assert both.submit(asset_id) == "submitted"

    assert both.second.puts == [both.world.attempt_id(asset_id)]
    both.second.script = ["400"]
    other = both.world.create()
    both.first.script = ["400"]
    assert both.submit(other) == "retrying"
    assert both.submit(other) == "failed"
    assert both.world.asset(other).error_code == "provider_refused"


def test_a_late_success_of_the_first_account_counts_and_the_second_job_is_released(
    both: Both,
) -> None:
    asset_id = both.world.create()
    both.submit(asset_id)
    first_attempt = both.world.attempt_id(asset_id)
    both.world.execute("UPDATE video_assets SET deadline_at = now() - interval '1 s'")
    sweep(both.world.services)
    with session_of(both.world.services.engine) as session:
        account_states.set_state(session, "selfhosted", "drain")
    assert both.submit(asset_id) == "submitted"
    second_attempt = both.world.attempt_id(asset_id)
    assert second_attempt != first_attempt

    both.finish(both.first, "selfhosted", first_attempt)

    assert both.world.asset(asset_id).status is Status.COMPLETED
    assert both.world.types(asset_id)[-1] == "late_success"
    release(both.world.services, second_attempt)
    assert both.second.cancelled == [second_attempt]
    assert both.first.cancelled == []


def test_an_old_failure_of_the_first_account_changes_nothing(both: Both) -> None:
    asset_id = both.world.create()
    both.submit(asset_id)
    first_attempt = both.world.attempt_id(asset_id)
    both.world.execute("UPDATE video_assets SET deadline_at = now() - interval '1 s'")
    sweep(both.world.services)
    with session_of(both.world.services.engine) as session:
        account_states.set_state(session, "selfhosted", "drain")
    both.submit(asset_id)
    before = both.world.asset(asset_id)

    headers, body = callback(both.first.fail(first_attempt, "encode_failed", retryable=False))
    reconcile(both.world.services, receive_at(both.world, "selfhosted", headers, body))

    after = both.world.asset(asset_id)
    assert (after.status, after.attempt_id) == (before.status, before.attempt_id)
    assert both.world.types(asset_id)[-1] == "callback_ignored"


def test_a_callback_of_one_account_about_a_job_of_the_other_is_not_believed(both: Both) -> None:
    asset_id = both.world.create()
    both.submit(asset_id)
    headers, body = callback(both.first.finish(both.world.attempt_id(asset_id)))

    outcome = reconcile(both.world.services, receive_at(both.world, "second", headers, body))

    assert outcome.result == "unknown_job"
    assert both.world.asset(asset_id).status is Status.PROCESSING


def test_an_account_that_settings_no_longer_name_stops_no_worker(both: Both) -> None:
    asset_id, dropped = both.world.create(), both.world.create()
    both.submit(asset_id)
    both.submit(dropped)
    cancelled = both.world.attempt_id(dropped)
    with session_of(both.world.operator) as session:
        cancel_asset(session, both.world.asset(dropped).post_id, actor="operator:o")
    alone = {"second": both.world.services.providers["second"]}
    services = replace(both.world.services, providers=alone)
    both.world.make_past(asset_id, "next_poll_at")

    assert poll(services, asset_id).result == "waiting: account selfhosted is not configured"
    assert release(services, cancelled).result == "waiting: account selfhosted is not configured"
    assert cancelled not in {wake.id for wake in sweep(services).wakes}

    # It comes back, and both go on.
    both.world.make_past(asset_id, "next_poll_at")
    both.first.finish(both.world.attempt_id(asset_id))
    assert poll(both.world.services, asset_id).result == "completed"
    assert release(both.world.services, cancelled).result == "released"


def test_a_takeover_of_an_attempt_without_its_account_waits_for_its_deadline(both: Both) -> None:
    asset_id = both.world.create()
    both.first.script = ["drop"]
    assert both.submit(asset_id) == "unanswered"
    alone = {"second": both.world.services.providers["second"]}
    services = replace(both.world.services, providers=alone)
    both.world.make_past(asset_id, "lease_expires_at")

    assert "not configured" in submit(services, asset_id).result

    both.world.execute("UPDATE video_assets SET deadline_at = now() - interval '1 s'")
    sweep(services)
    both.world.make_past(asset_id, "next_attempt_at")
    assert submit(services, asset_id).result == "submitted"
    assert both.second.puts == [both.world.attempt_id(asset_id)]


def test_a_job_that_a_look_up_finds_finished_is_published_at_once(both: Both) -> None:
    both.first.script = ["drop"]
    asset_id = both.world.create()
    assert both.submit(asset_id) == "unanswered"
    both.first.finish(both.world.attempt_id(asset_id))
    both.world.make_past(asset_id, "lease_expires_at")

    submit(both.world.services, asset_id)

    assert both.world.asset(asset_id).status is Status.COMPLETED


def test_a_callback_ends_the_wait_for_a_submission_that_was_not_answered(both: Both) -> None:
    both.first.script = ["drop"]
    asset_id = both.world.create()
    assert both.submit(asset_id) == "unanswered"
    attempt_id = both.world.attempt_id(asset_id)
    running = both.first.job(attempt_id, status="running", progress=10)
    headers, body = callback(running, "job.progress")

    reconcile(both.world.services, receive_at(both.world, "selfhosted", headers, body))

    asset = both.world.asset(asset_id)
    assert asset.provider_job_id == str(attempt_id)
    assert asset.lease_expires_at is None
    assert asset.next_poll_at is not None
    assert both.world.types(asset_id)[-1] == "job_seen"


@pytest.mark.parametrize("answer", ["accept", "drop"])
def test_a_worker_whose_callback_was_quicker_writes_nothing_more(both: Both, answer: str) -> None:
    asset_id = both.world.create()

    def tell(attempt_id: UUID) -> None:
        running = both.first.job(attempt_id, status="running", progress=10)
        headers, body = callback(running, "job.progress")
        reconcile(both.world.services, receive_at(both.world, "selfhosted", headers, body))

    both.first.before_answer = tell
    both.first.script = [answer]

    assert both.submit(asset_id) in {"moved_on", "stale"}

    asset = both.world.asset(asset_id)
    assert both.world.types(asset_id)[-1] == "job_seen"
    assert (asset.lease_expires_at, asset.provider_job_id) == (
        None,
        str(both.world.attempt_id(asset_id)),
    )
    both.finish(both.first, "selfhosted", both.world.attempt_id(asset_id))
    assert both.world.asset(asset_id).status is Status.COMPLETED


def test_an_account_whose_successes_the_gate_rejects_gets_few_more_jobs(both: Both) -> None:
    assets = [both.world.create() for _ in range(6)]
    for asset_id in assets:
        both.submit(asset_id)
        if both.world.asset(asset_id).provider == "selfhosted":
            attempt_id = both.world.attempt_id(asset_id)
            job = both.first.finish(attempt_id, poster=f"{both.first.url}/out/black.jpg")
            headers, body = callback(job)
            reconcile(both.world.services, receive_at(both.world, "selfhosted", headers, body))

    assert len(both.first.puts) == 3
    assert [both.world.asset(each).provider for each in assets[3:]] == ["second"] * 3
    assert both.passed_over(assets[-1]) == {"selfhosted": "suspect"}


def test_only_a_job_that_was_submitted_since_ends_a_probation(both: Both) -> None:
    old, new = both.world.create(), both.world.create()
    both.submit(old)
    with session_of(both.world.services.engine) as session:
        account_states.record_lie(session, "selfhosted")
    both.submit(new)

    def lies() -> int:
        with session_of(both.world.services.engine) as session:
            return account_states.all_states(session)["selfhosted"].lies

    both.finish(both.first, "selfhosted", both.world.attempt_id(old))
    assert lies() == 1
    both.finish(both.first, "selfhosted", both.world.attempt_id(new))
    assert lies() == 0


def test_on_probation_the_only_account_gets_few_jobs_until_one_is_good(both: Both) -> None:
    services = both.world.services
    alone = replace(services, providers={"selfhosted": services.providers["selfhosted"]})
    old = both.world.create()
    assert submit(alone, old).result == "submitted"
    with session_of(services.engine) as session:
        account_states.begin_probation(session, "selfhosted")
    assets = [both.world.create() for _ in range(6)]

    assert [submit(alone, each).result for each in assets] == ["submitted"] * 3 + ["held"] * 3
    assert both.world.asset(assets[3]).hold_reason == "provider_full"
    assert both.passed_over(assets[3]) == {"selfhosted": "on_trial"}
    assert not {wake.id for wake in sweep(alone).wakes} & set(assets)

    both.finish(both.first, "selfhosted", both.world.attempt_id(assets[0]))
    assert set(assets[3:]) <= {wake.id for wake in sweep(alone).wakes}


def test_an_asset_that_waits_for_one_account_goes_to_another_that_has_room(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SELFHOSTED", "SECOND"):
        monkeypatch.setenv(f"KHRONIKA_{name}_MAX_JOBS", "1")
    services = build_services(load_settings(WorkerSettings))
    assets = [both.world.create() for _ in range(3)]
    try:
        assert [submit(services, each).result for each in assets] == [*["submitted"] * 2, "held"]
        other = {"selfhosted": "second", "second": "selfhosted"}[
            both.world.asset(assets[2]).provider
        ]
        [busy] = [each for each in assets[:2] if both.world.asset(each).provider == other]
        where = both.first if other == "selfhosted" else both.second
        both.finish(where, other, both.world.attempt_id(busy))

        assert assets[2] in {wake.id for wake in sweep(services).wakes}
        assert submit(services, assets[2]).result == "submitted"
        assert both.world.asset(assets[2]).provider == other
    finally:
        services.close()


def test_a_short_pause_is_waited_out_by_the_call_itself(both: Both) -> None:
    with session_of(both.world.services.engine) as session:
        account_states.pause(session, "selfhosted", 1)
    asset_id = both.world.create()

    assert both.submit(asset_id) == "submitted"

    assert len(both.first.puts) == 1


def test_an_account_with_a_limit_of_jobs_takes_the_next_one_when_one_ends(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SELFHOSTED", "SECOND"):
        monkeypatch.setenv(f"KHRONIKA_{name}_MAX_JOBS", "1")
    services = build_services(load_settings(WorkerSettings))
    assets = [both.world.create() for _ in range(4)]
    try:
        assert [submit(services, each).result for each in assets] == [
            *("submitted", "submitted"),
            *("held", "held"),
        ]
        assert both.world.asset(assets[2]).hold_reason == "provider_full"
        assert both.passed_over(assets[2]) == {
            "selfhosted": "has_its_most_jobs",
            "second": "has_its_most_jobs",
        }
        sweep(services)
        both.finish(both.first, "selfhosted", both.world.attempt_id(assets[0]))
        woken = {wake.id for wake in sweep(services).wakes}

        [next_one] = woken & set(assets[2:])
        assert submit(services, next_one).result == "submitted"
    finally:
        services.close()


def alone(both: Both) -> Services:
    """The services of an installation with the first account only."""
    services = both.world.services
    return replace(services, providers={"selfhosted": services.providers["selfhosted"]})


def test_the_pause_that_a_vendor_asked_for_outlasts_the_sweep(both: Both) -> None:
    services = alone(both)
    both.first.script, both.first.retry_after = ["429"], {"Retry-After": "3600"}
    refused, other = both.world.create(), both.world.create()

    assert submit(services, refused).result == "retrying"
    assert submit(services, other).result == "held"
    sweep(services)

    for asset_id in (refused, other):
        waits = both.world.asset(asset_id)
        assert waits.hold_reason == "provider_busy"
        assert waits.next_attempt_at is not None
        assert waits.next_attempt_at > datetime.now(UTC) + timedelta(minutes=9)


def test_a_refusal_for_now_outlasts_the_sweep_though_the_account_has_room(both: Both) -> None:
    both.first.script = ["429"]
    asset_id = both.world.create()
    assert both.submit(asset_id) == "retrying"
    both.world.execute("UPDATE video_assets SET next_attempt_at = now() + interval '1 hour'")

    sweep(both.world.services)

    waits = both.world.asset(asset_id)
    assert waits.hold_reason == "provider_busy"
    assert waits.next_attempt_at is not None
    assert waits.next_attempt_at > datetime.now(UTC) + timedelta(minutes=9)


def pause_it(session: Session) -> None:
    account_states.pause(session, "selfhosted", 3600)


def refuse_it(session: Session) -> None:
    account_states.record_problem(session, "selfhosted", "no such key")


def drain_it(session: Session) -> None:
    account_states.set_state(session, "selfhosted", "drain")


def disable_it(session: Session) -> None:
    account_states.set_state(session, "selfhosted", "disabled")


@pytest.mark.parametrize("change", [pause_it, refuse_it, drain_it, disable_it])
def test_an_account_that_may_get_no_job_has_no_room(
    both: Both, change: Callable[[Session], None]
) -> None:
    services = alone(both)
    with session_of(services.engine) as session:
        account_states.begin_probation(session, "selfhosted")
    assets = [both.world.create() for _ in range(4)]
    assert [submit(services, each).result for each in assets] == [*["submitted"] * 3, "held"]
    both.finish(both.first, "selfhosted", both.world.attempt_id(assets[0]))
    with session_of(services.engine) as session:
        change(session)

    assert assets[3] not in {wake.id for wake in sweep(services).wakes}

    with session_of(services.engine) as session:
        account_states.set_state(session, "selfhosted", "enabled")
    assert assets[3] in {wake.id for wake in sweep(services).wakes}


def test_a_full_account_is_waited_for_and_not_the_long_pause_of_another(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_SELFHOSTED_MAX_JOBS", "1")
    services = build_services(load_settings(WorkerSettings))
    try:
        with session_of(services.engine) as session:
            account_states.pause(session, "second", 3600)
        busy, waiting = both.world.create(), both.world.create()
        assert [submit(services, each).result for each in (busy, waiting)] == ["submitted", "held"]
        assert both.world.asset(waiting).hold_reason == "provider_full"

        both.finish(both.first, "selfhosted", both.world.attempt_id(busy))

        assert waiting in {wake.id for wake in sweep(services).wakes}
    finally:
        services.close()
