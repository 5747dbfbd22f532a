"""The provider accounts in the console and in the metrics."""

from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest
from sqlalchemy import text

from pipeline.records import account_states
from pipeline.records.models import AuditEvent, ProviderAccount
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World, serving
from tests.integration.api.operator import Page, signed_in
from tests.integration.api.test_operations import scraped
from tests.scripted_provider import TOKEN


@pytest.fixture
def two(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The API with a second account, called ``spare``."""
    for name, value in {
        "KHRONIKA_ACCOUNTS": "selfhosted,spare:selfhosted",
        "KHRONIKA_SPARE_URL": environment["KHRONIKA_SELFHOSTED_URL"],
        "KHRONIKA_SPARE_TOKEN": TOKEN,
        "KHRONIKA_SPARE_ASSETS_PER_HOUR": "20",
        "KHRONIKA_SELFHOSTED_PRICE_ENCODED_MINUTE": "0.04",
    }.items():
        monkeypatch.setenv(name, value)
    with serving(monkeypatch) as client:
        yield client


def trouble(world: World) -> None:
    """Let the first account have worked, and be refused, paused and suspect now."""
    with session_of(world.engine) as session:
        account_states.record_problem(session, "selfhosted", "the card <b>has expired</b>")
        account_states.pause(session, "selfhosted", 90)
        for _ in range(3):
            account_states.record_lie(session, "selfhosted")
        session.execute(
            text("""INSERT INTO provider_spend (provider, hour, assets, media_sec)
                    VALUES ('selfhosted', date_trunc('hour', now(), 'UTC'), 7, 90),
                           ('gone', date_trunc('hour', now(), 'UTC'), 1, 60)""")
        )


def buttons(page: Page) -> dict[str, list[str]]:
    """The words of the buttons, by the address that they go to."""
    return {form.action: form.buttons for form in page.forms if "/accounts/" in form.action}


def test_each_account_is_shown_with_its_troubles_spend_and_cost(two: Client, world: World) -> None:
    trouble(world)
    page = signed_in(two).get("/ops/accounts")

    assert page.of_tag("h2") == ["selfhosted", "spare"]
    for words in (
        "Problem the card <b>has expired</b> , for ",
        "Paused until 20",
        "few jobs at once until one passes our checks ; 3 successes in a row rejected",
        "7 videos (no limit), 1.5 minutes (no limit), cost 0.06",
        "0 videos (limit 20)",
    ):
        assert words in page.text
    assert "gone" not in page.text


def test_one_video_is_not_called_videos(two: Client, world: World) -> None:
    with session_of(world.engine) as session:
        session.execute(
            text("""INSERT INTO provider_spend (provider, hour, assets, media_sec)
                    VALUES ('spare', date_trunc('hour', now(), 'UTC'), 1, 60)""")
        )

    assert "1 video (limit 20), 1.0 minutes" in signed_in(two).get("/ops/accounts").text


def test_an_account_is_drained_and_enabled_with_buttons_and_the_audit_knows(
    two: Client, world: World
) -> None:
    operator = signed_in(two)
    page = operator.get("/ops/accounts")
    assert buttons(page)["/ops/accounts/selfhosted/drain"] == ["Drain"]
    assert "/ops/accounts/selfhosted/enabled" not in buttons(page)

    drained = operator.submit(page.form("/ops/accounts/selfhosted/drain"))

    assert "selfhosted: It gets no new jobs; those that it has go on." in drained.text
    assert "State drain , since" in drained.text
    [row] = world.all(ProviderAccount)
    assert (row.provider, row.state) == ("selfhosted", "drain")
    [event] = [each for each in world.all(AuditEvent) if each.type.startswith("provider_")]
    assert (event.type, event.actor, event.source) == (
        "provider_drain",
        "operator:ops",
        "127.0.0.1",
    )
    assert event.detail == {"provider": "selfhosted", "was": "enabled"}

    enabled = operator.submit(drained.form("/ops/accounts/selfhosted/enabled"))
    assert "Videos that waited for an account go on." in enabled.text


def test_an_enabled_account_in_trouble_can_be_tried_again(two: Client, world: World) -> None:
    trouble(world)
    operator = signed_in(two)
    form = operator.get("/ops/accounts").form("/ops/accounts/selfhosted/enabled")
    assert form.buttons == ["Try again"]

    assert "has expired" not in operator.submit(form).text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ops/accounts/nobody/drain", 404), ("/ops/accounts/selfhosted/elsewhere", 404)],
)
def test_an_unknown_account_or_state_is_not_found(
    two: Client, world: World, path: str, status: int
) -> None:
    operator = signed_in(two)
    csrf = dict(operator.get("/ops").form("/ops/sign-out").fields)["csrf"]
    assert operator.post(path, {"csrf": csrf}).status == status
    assert world.count(ProviderAccount) == 0


def test_a_button_without_its_form_changes_nothing(two: Client, world: World) -> None:
    assert signed_in(two).post("/ops/accounts/selfhosted/drain", {}).status == 403
    assert world.count(ProviderAccount) == 0


def test_a_videos_page_estimates_the_cost_of_each_accepted_attempt(
    two: Client, world: World
) -> None:
    asset_id = two.create().json()["id"]
    with session_of(world.engine) as session:
        session.execute(
            text("""INSERT INTO provider_attempts (id, asset_id, generation, number, provider,
                        outcome, submitted_at, reserved_sec)
                    VALUES (:failed, :asset_id, 1, 1, 'selfhosted', 'failed', now(), 90),
                           (:done, :asset_id, 1, 2, 'selfhosted', 'completed', now(), 90),
                           (:refused, :asset_id, 1, 3, 'selfhosted', 'refused', NULL, NULL),
                           (:gone, :asset_id, 1, 4, 'gone', 'failed', now(), 90)"""),
            {"asset_id": asset_id, **{n: uuid4() for n in ("failed", "done", "refused", "gone")}},
        )
    page = signed_in(two).get(f"/ops/assets/{asset_id}")

    assert page.text.count("1 min 30 s encoded, estimated cost 0.06") == 2
    assert "of the accepted attempts together: 0.12." in page.text


def test_the_metrics_have_every_configured_account_and_no_other(two: Client, world: World) -> None:
    trouble(world)
    found = scraped(two)

    assert found["khronika_provider_state", "selfhosted", "enabled"] == 1
    assert found["khronika_provider_state", "spare", "disabled"] == 0
    expected = {
        "khronika_provider_paused": (1, 0),
        "khronika_provider_problem": (1, 0),
        "khronika_provider_rejected_successes": (3, 0),
        "khronika_provider_jobs": (0, 0),
        "khronika_provider_releases_owed": (0, 0),
        "khronika_provider_spend_minutes": (1.5, 0),
        "khronika_provider_cost_hour": (pytest.approx(0.06), 0),
        "khronika_provider_cost_month": (pytest.approx(0.06), 0),
    }
    for name, values in expected.items():
        assert (found[name, "selfhosted"], found[name, "spare"]) == values, name
        assert (name, "gone") not in found
