"""The confirmation of a subscription that a vendor's callback asks for."""

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select

from pipeline.config.groups import load_settings
from pipeline.domain.values import CallbackEnvelope
from pipeline.lifecycle.receive_callback import receive_callback
from pipeline.lifecycle.reconcile import reconcile
from pipeline.net.fetch import FetchCode, FetchRefused
from pipeline.process_settings import WorkerSettings
from pipeline.providers.callback_documents import fetch_document
from pipeline.records.models import AuditEvent
from pipeline.runtime.database import session_of
from pipeline.services import Services, build_services
from tests.integration.pipeline.conftest import World
from tests.vendors.fake import FakeCallback
from tests.vendors.mediaconvert import CERTIFICATE_URL, TOPIC, FakeMediaConvert, certificate


class Sns:
    """The server that confirms: it answers, or refuses."""

    def __init__(self) -> None:
        self.refusal: FetchRefused | None = None
        self.confirmed: list[str] = []

    def fetch(self, url: str, hosts: Collection[str]) -> bytes:
        assert hosts == {"sns.eu-central-1.amazonaws.com"}
        if self.refusal:
            raise self.refusal
        self.confirmed.append(url)
        return b"<ConfirmSubscriptionResponse/>"


@pytest.fixture
def sns() -> Sns:
    return Sns()


@pytest.fixture
def aws() -> FakeMediaConvert:
    return FakeMediaConvert()


@pytest.fixture
def services(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch, aws: FakeMediaConvert, sns: Sns
) -> Iterator[Services]:
    """A worker with an account of MediaConvert beside the usual one."""
    del settings  # it has set the environment of that one
    own = {**aws.environment("aws"), "KHRONIKA_AWS_SNS_TOPIC_ARN": TOPIC}
    own["KHRONIKA_AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    for name, value in {**own, "KHRONIKA_ACCOUNTS": "selfhosted,aws:mediaconvert"}.items():
        monkeypatch.setenv(name, value)
    services = replace(build_services(load_settings(WorkerSettings)), fetch_document=sns.fetch)
    yield services
    services.close()


def received(world: World, sent: FakeCallback) -> UUID:
    """Store a callback of the account ``aws``, and return its delivery."""
    documents = {CERTIFICATE_URL: certificate()}
    with session_of(world._api) as session:
        stored = receive_callback(
            session,
            world.services.providers["aws"],
            secrets=[],
            envelope=CallbackEnvelope(sent.headers, sent.body, documents=documents),
            source="127.0.0.1",
            request_id="test",
            now=datetime.now(UTC),
        )
    assert stored.wake is not None
    return stored.wake.id


def test_a_subscription_is_confirmed_once(world: World, aws: FakeMediaConvert, sns: Sns) -> None:
    sent = aws.subscription()
    delivery_id = received(world, sent)

    outcomes = [reconcile(world.services, delivery_id).result for _ in range(2)]

    assert outcomes == ["confirmed", "not_due"]
    assert sns.confirmed == [json.loads(sent.body)["SubscribeURL"]]
    assert world.delivery(delivery_id).status == "applied"
    with session_of(world.services.engine) as session:
        [audited] = session.scalars(select(AuditEvent))
    assert (audited.type, audited.provider) == ("subscription_confirmed", "aws")


def test_a_confirmation_that_fails_for_now_is_tried_again(
    world: World, aws: FakeMediaConvert, sns: Sns
) -> None:
    delivery_id = received(world, aws.subscription())
    sns.refusal = FetchRefused(FetchCode.SOURCE_TIMEOUT, "slow", transient=True)

    assert reconcile(world.services, delivery_id).result.startswith("waiting")
    assert world.delivery(delivery_id).status == "new"

    sns.refusal = None
    world.execute("UPDATE webhook_deliveries SET next_try_at = now() - interval '1 s'")
    assert reconcile(world.services, delivery_id).result == "confirmed"


def test_an_address_that_is_refused_ends_the_delivery(
    world: World, aws: FakeMediaConvert, sns: Sns
) -> None:
    elsewhere = aws.subscription(SubscribeURL="https://evil.example/")
    delivery_id = received(world, elsewhere)
    services = replace(world.services, fetch_document=fetch_document)

    assert reconcile(services, delivery_id).result == "ignored: confirmation: url_refused"

    assert world.delivery(delivery_id).status == "ignored"
    assert sns.confirmed == []
