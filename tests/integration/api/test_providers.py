"""The provider accounts over the API."""

from uuid import UUID

import pytest
from sqlalchemy import text

from pipeline.records.models import AuditEvent, ProviderAccount
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World
from tests.integration.api.test_audit import as_operator


def test_operators_list_the_accounts(api: Client) -> None:
    listed = api.operator("GET", "/api/providers", role="operator_read")

    assert listed.status_code == 200
    [account] = listed.json()["providers"]
    assert (account["name"], account["adapter"], account["state"]) == (
        "selfhosted",
        "selfhosted",
        "enabled",
    )
    assert (account["jobs"], account["hour_assets"], account["month_cost"]) == (0, 0, 0)


def test_an_operator_sets_the_state_and_waiting_videos_go_on(api: Client, world: World) -> None:
    asset_id = UUID(api.create().json()["id"])
    with session_of(world.engine) as session:
        session.execute(
            text("""UPDATE video_assets SET hold_reason = 'no_account',
                        next_attempt_at = now() + interval '1 minute' WHERE id = :id"""),
            {"id": asset_id},
        )
    drained = api.post("/api/providers/selfhosted/state", {"state": "drain"}, **as_operator())
    enabled = api.post("/api/providers/selfhosted/state", {"state": "enabled"}, **as_operator())

    assert drained.json() == {
        "provider": "selfhosted",
        "state": "drain",
        "was": "enabled",
        "made_due": 0,
    }
    assert (enabled.json()["was"], enabled.json()["made_due"]) == ("drain", 1)
    assert world.only(ProviderAccount).state == "enabled"
    events = [(event.type, event.detail["was"]) for event in world.all(AuditEvent)]
    assert events == [("provider_drain", "enabled"), ("provider_enable", "drain")]


@pytest.mark.parametrize(
    ("name", "body", "refusal"),
    [
        ("nobody", {"state": "drain"}, (404, "unknown_provider")),
        ("selfhosted", {"state": "elsewhere"}, (422, "validation_failed")),
        ("selfhosted", {}, (422, "validation_failed")),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(
    api: Client, world: World, name: str, body: dict[str, str], refusal: tuple[int, str]
) -> None:
    refused = api.post(f"/api/providers/{name}/state", body, **as_operator())
    assert (refused.status_code, refused.json()["code"]) == refusal
    assert world.count(ProviderAccount) == 0
