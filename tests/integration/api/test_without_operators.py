"""An API that is started without the operators' database login."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from api.identity.tokens import Role
from api.live.stream_tickets import sign_ticket
from api.monitoring.prometheus import READINGS
from tests.integration.api.conftest import SECRET_KEY, Client, serving
from tests.integration.api.following import following, ticket_of
from tests.integration.api.test_callbacks import job
from tests.scripted_provider import callback

NOT_SERVED = (503, "operators_not_served", False)


@pytest.fixture
def alone(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    for name in ("WORKER", "OPERATOR"):
        monkeypatch.delenv(f"KHRONIKA_{name}_DATABASE_URL")
    with serving(monkeypatch) as client:
        yield client


def test_owners_and_the_public_are_served(alone: Client) -> None:
    post_id = uuid4()
    assert alone.create(post_id).status_code == 202
    assert alone.get(f"/api/video-assets/{post_id}").json()["status"] == "queued"
    assert alone.get(f"/api/video-assets/{post_id}/playback", as_=None).status_code == 200
    with following(alone.url, [str(post_id)], ticket=ticket_of(alone.url, "ana")) as stream:
        assert stream.next().data["status"] == "queued"
    assert alone.get("/readyz", as_=None).status_code == 200


def test_callbacks_are_verified_by_the_first_secrets_of_the_settings(alone: Client) -> None:
    headers, body = callback(job(), "job.progress")
    answer = alone.call(
        "POST", "/api/video-assets/webhook/selfhosted", as_=None, headers=headers, data=body
    )
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/video-assets?status=failed"),
        ("GET", f"/api/video-assets/{UUID(int=1)}"),
        ("POST", f"/api/video-assets/{UUID(int=1)}/cancel"),
    ],
)
def test_an_operators_token_is_told_that_operators_are_not_served(
    alone: Client, method: str, path: str
) -> None:
    answer = alone.operator(method, path)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["retryable"]) == NOT_SERVED
    assert "KHRONIKA_OPERATOR_DATABASE_URL" in problem["detail"]


def test_an_operators_ticket_opens_no_stream(alone: Client) -> None:
    later = datetime.now(UTC) + timedelta(minutes=5)
    ticket = sign_ticket(SECRET_KEY, "ops", Role.OPERATOR, expires_at=later)
    answer = alone.get(f"/api/video-assets/stream?post_ids={uuid4()}&ticket={ticket}", as_=None)
    assert (answer.status_code, answer.json()["code"]) == NOT_SERVED[:2]


@pytest.mark.parametrize(
    "path", ["/ops", "/ops/sign-in", "/ops/failed", "/ops/inbox", "/ops/accounts"]
)
def test_the_console_says_on_every_page_that_it_has_no_login(alone: Client, path: str) -> None:
    answer = requests.get(f"{alone.url}{path}", timeout=20, allow_redirects=False)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "KHRONIKA_OPERATOR_DATABASE_URL" in answer.text


def test_the_figures_of_the_database_are_missing_and_counted(alone: Client) -> None:
    text = alone.get("/metrics", as_=None).text
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["khronika_figures_missing"] == len(READINGS) + 1  # the accounts
    assert "khronika_broker_up" in values
    assert "khronika_assets" not in values
