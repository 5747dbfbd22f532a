"""The provider accounts at the command line, over a real database."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from pipeline.records import account_states
from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World
from tests.integration.cli.conftest import Ran, khronika, khronika_process

ACCOUNTS = {
    "KHRONIKA_ACCOUNTS": "selfhosted,spare:selfhosted",
    "KHRONIKA_SELFHOSTED_ASSETS_PER_HOUR": "20",
    "KHRONIKA_SELFHOSTED_PRICE_ENCODED_MINUTE": "0.04",
    "KHRONIKA_SPEND_MINUTES_PER_HOUR": "600",
}
"""A second account without a token: the operators' commands do not read it."""


@pytest.fixture
def env(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {**environment, **ACCOUNTS}


def providers(*arguments: str, env: Mapping[str, str]) -> Ran:
    return khronika("providers", *arguments, env=env)


def listed(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    ran = providers("list", "--json", env=env)
    assert ran.code == 0, ran.out + ran.err
    return {line["name"]: line for line in ran.lines}


def execute(world: World, statement: str, **parameters: object) -> None:
    with session_of(world.engine) as session:
        session.execute(text(statement), parameters)


def test_accounts_are_listed_in_their_order_with_spend_against_budget_and_cost(
    env: Mapping[str, str], world: World
) -> None:
    execute(
        world,
        """INSERT INTO provider_spend (provider, hour, assets, media_sec)
           VALUES ('selfhosted', date_trunc('hour', now(), 'UTC'), 7, 90),
                  ('gone', date_trunc('hour', now(), 'UTC'), 1, 60)""",
    )
    found = listed(env)

    assert list(found) == ["selfhosted", "spare"]
    first = found["selfhosted"]
    assert (first["hour_assets"], first["hour_assets_limit"]) == (7, 20)
    assert (first["hour_minutes"], first["hour_minutes_limit"]) == (1.5, 600)
    assert first["hour_cost"] == pytest.approx(0.06)
    assert first["month_cost"] == pytest.approx(0.06)
    spare = found["spare"]
    assert (spare["adapter"], spare["state"], spare["breaker"]) == (
        "selfhosted",
        "enabled",
        "closed",
    )
    assert (spare["hour_assets"], spare["hour_assets_limit"], spare["hour_cost"]) == (0, None, 0)


def test_troubles_of_an_account_are_listed(
    env: Mapping[str, str], world: World, api: Client
) -> None:
    asset_id = api.create().json()["id"]
    execute(
        world,
        """UPDATE video_assets SET status = 'processing', attempt_id = gen_random_uuid(),
               next_attempt_at = NULL WHERE id = :id""",
        id=UUID(asset_id),
    )
    with session_of(world.engine) as session:
        account_states.record_problem(session, "selfhosted", "the card has expired")
        account_states.pause(session, "selfhosted", 90)
        account_states.record_lie(session, "selfhosted")
    execute(
        world,
        """INSERT INTO provider_breakers (provider, failures, opened_at, probe_at)
           VALUES ('selfhosted', 6, now(), now())""",
    )
    found = listed(env)["selfhosted"]

    assert found["problem"] == "the card has expired"
    assert 0 <= found["problem_age_sec"] < 60
    assert found["paused_until"]
    assert (found["rejected_successes"], found["breaker"], found["jobs"]) == (1, "open", 1)
    shown = providers("list", env=env).out
    assert "the card has expired (since 0 min)" in shown


def hold(api: Client, world: World, reason: str, provider: str = "selfhosted") -> UUID:
    """A video that waits ten more minutes for this reason."""
    asset_id = UUID(api.create().json()["id"])
    execute(
        world,
        """UPDATE video_assets SET hold_reason = :reason, provider = :provider,
               next_attempt_at = now() + interval '10 minutes' WHERE id = :id""",
        id=asset_id,
        reason=reason,
        provider=provider,
    )
    return asset_id


def wait_and_life_sec(world: World, asset_id: UUID) -> tuple[float, float]:
    """Seconds until the next attempt, and until the deadline."""
    with session_of(world.engine) as session:
        row = session.execute(
            text("""SELECT extract(epoch FROM next_attempt_at - now())::float AS wait,
                           extract(epoch FROM deadline_at - now())::float AS life
                    FROM video_assets WHERE id = :id"""),
            {"id": asset_id},
        ).one()
    return row.wait, row.life


@pytest.mark.parametrize(
    ("reason", "moved_sec"),
    [("no_account", 0), ("provider_busy", 600), ("provider_full", 600), ("provider_account", 600)],
)
def test_enabling_an_account_lets_the_videos_go_on_that_wait_for_one(
    env: Mapping[str, str], world: World, api: Client, reason: str, moved_sec: float
) -> None:
    held = hold(api, world, reason)
    other = hold(api, world, "spend_guard")
    _, life_before = wait_and_life_sec(world, held)

    ran = providers("enable", "spare", "--json", env=env)

    assert ran.document == {
        "provider": "spare",
        "state": "enabled",
        "was": "enabled",
        "made_due": 1,
    }
    wait_sec, life_sec = wait_and_life_sec(world, held)
    assert wait_sec <= 0
    assert life_before - life_sec == pytest.approx(moved_sec, abs=30)
    assert wait_and_life_sec(world, other)[0] > 500


def test_a_drained_account_is_listed_audited_and_its_line_goes_elsewhere(
    env: Mapping[str, str], world: World, api: Client
) -> None:
    in_line = hold(api, world, "provider_paced")
    in_the_other_line = hold(api, world, "provider_paced", "spare")

    ran = providers("drain", "selfhosted", env=env)

    assert ran.out.splitlines() == [
        "selfhosted: drain (was enabled)",
        "1 waiting videos go on",
    ]
    assert wait_and_life_sec(world, in_line)[0] <= 0
    assert wait_and_life_sec(world, in_the_other_line)[0] > 500
    assert listed(env)["selfhosted"]["state"] == "drain"
    [event] = world.all(AuditEvent)
    assert (event.type, event.detail) == (
        "provider_drain",
        {"provider": "selfhosted", "was": "enabled"},
    )
    assert event.actor.startswith("operator:")


def test_setting_a_state_forgets_what_the_account_did_before(
    env: Mapping[str, str], world: World
) -> None:
    with session_of(world.engine) as session:
        account_states.record_problem(session, "selfhosted", "the card has expired")
        account_states.pause(session, "selfhosted", 3600)
    assert providers("disable", "selfhosted", env=env).code == 0
    assert providers("enable", "selfhosted", "--json", env=env).document["was"] == "disabled"
    found = listed(env)["selfhosted"]
    assert (found["state"], found["problem"], found["paused_until"]) == ("enabled", None, None)


def test_an_account_that_is_not_configured_is_refused(env: Mapping[str, str], world: World) -> None:
    ran = providers("disable", "nobody", "--json", env=env)
    assert (ran.code, ran.document["error"]["code"]) == (3, "unknown_provider")
    assert world.count(AuditEvent) == 0


def test_the_installed_command_explains_itself(env: Mapping[str, str]) -> None:
    ran = khronika_process("providers", "--help", env=env)
    assert ran.code == 0
    for command in ("list", "enable", "drain", "disable"):
        assert command in ran.out
    unknown = khronika_process("providers", "enable", str(uuid4()), "--json", env=env)
    assert (unknown.code, unknown.document["error"]["code"]) == (3, "unknown_provider")
