"""The states that operators give accounts, and the budgets of single accounts."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from uuid import UUID

import pytest

from pipeline.config.groups import load_settings
from pipeline.config.task_names import wake_release
from pipeline.domain.routing import AccountState
from pipeline.domain.states import Status
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.operations.account_control import set_account_state
from pipeline.process_settings import WorkerSettings
from pipeline.records import account_states
from pipeline.runtime.database import session_of
from pipeline.services import build_services
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.steps import cancel
from tests.integration.pipeline.test_debts import attempt
from tests.scripted_provider import TOKEN, ScriptedProvider

CLIP_MINUTES = 5.31 / 60


@pytest.fixture
def two(
    monkeypatch: pytest.MonkeyPatch, settings: WorkerSettings, provider: ScriptedProvider
) -> Iterator[World]:
    """A world with a second account, called ``spare``; each may be given one video an hour."""
    for name, value in {
        "KHRONIKA_ACCOUNTS": "selfhosted,spare:selfhosted",
        "KHRONIKA_SPARE_URL": provider.url,
        "KHRONIKA_SPARE_TOKEN": TOKEN,
        "KHRONIKA_SPARE_OUTPUT_HOSTS": "127.0.0.1",
        "KHRONIKA_SELFHOSTED_ASSETS_PER_HOUR": "1",
        "KHRONIKA_SPEND_ASSETS_PER_HOUR": "2",
        "KHRONIKA_SPARE_MINUTES_PER_HOUR": str(CLIP_MINUTES * 1.5),
    }.items():
        monkeypatch.setenv(name, value)
    services = replace(build_services(load_settings(WorkerSettings)), rng=Random(1))
    world = World(services, provider)
    yield world
    world.close()
    services.close()


def set_state(world: World, state: AccountState, account: str = "selfhosted") -> None:
    with session_of(world.operator) as session:
        set_account_state(session, list(world.services.providers), account, state)


def account_of(world: World, asset_id: UUID) -> str:
    return world.asset(asset_id).provider


def test_each_account_has_its_own_budget_and_the_next_one_takes_the_rest(two: World) -> None:
    first, second, third = (two.create(duration_sec=5.31) for _ in range(3))
    for asset_id in (first, second, third):
        submit(two.services, asset_id)

    assert (account_of(two, first), account_of(two, second)) == ("selfhosted", "spare")
    claimed = two.chronicle(second)[1]
    assert claimed.detail["passed_over"] == {"selfhosted": "budget_used_up"}
    waiting = two.asset(third)
    assert (waiting.status, waiting.hold_reason) == (Status.QUEUED, "spend_guard")
    held = two.chronicle(third)[-1]
    assert held.detail["passed_over"] == {
        "selfhosted": "budget_used_up",
        "spare": "budget_used_up",
    }


@pytest.mark.parametrize("state", [AccountState.DRAIN, AccountState.DISABLED])
def test_an_account_that_is_not_enabled_gets_no_new_job(two: World, state: AccountState) -> None:
    set_state(two, state)
    asset_id = two.create()
    submit(two.services, asset_id)
    assert account_of(two, asset_id) == "spare"


def test_a_video_that_no_account_may_take_goes_on_when_one_is_enabled(two: World) -> None:
    for account in ("selfhosted", "spare"):
        set_state(two, AccountState.DRAIN, account)
    asset_id = two.create()
    assert submit(two.services, asset_id).result == "held"
    assert two.asset(asset_id).hold_reason == "no_account"

    set_state(two, AccountState.ENABLED, "spare")

    assert submit(two.services, asset_id).result == "submitted"
    assert account_of(two, asset_id) == "spare"


def test_a_drained_account_is_asked_about_its_jobs_and_a_disabled_one_is_not(
    world: World,
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    set_state(world, AccountState.DISABLED)
    world.provider.gets = ["503"]
    world.make_past(asset_id, "next_poll_at")

    assert poll(world.services, asset_id).result == "waiting: the account is disabled"
    assert world.provider.gets == ["503"]
    assert world.asset(asset_id).status is Status.PROCESSING

    set_state(world, AccountState.DRAIN)
    world.make_past(asset_id, "next_poll_at")
    assert poll(world.services, asset_id).result.startswith("waiting: ")
    assert world.provider.gets == []


def test_a_release_at_a_disabled_account_stays_owed(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    cancel(world, asset_id)
    set_state(world, AccountState.DISABLED)

    assert wake_release(attempt_id) not in sweep(world.services).wakes
    assert release(world.services, attempt_id).result == "waiting: the account is disabled"
    assert attempt(world, attempt_id).released_at is None

    set_state(world, AccountState.ENABLED)
    assert wake_release(attempt_id) in sweep(world.services).wakes
    assert release(world.services, attempt_id).result == "released"
    with session_of(world.services.engine) as session:
        assert account_states.disabled(session) == frozenset()
