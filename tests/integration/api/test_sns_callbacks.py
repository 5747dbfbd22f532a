"""Callbacks by Amazon SNS, whose verification needs a document."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from api.wiring.services import EXTENSION
from pipeline.net.fetch import FetchCode, FetchRefused
from pipeline.providers.callback_documents import CallbackDocuments
from pipeline.records.models import AuditEvent, Delivery
from tests.integration.api.conftest import Client, World, serving
from tests.integration.api.test_callbacks import send
from tests.vendors.fake import FakeCallback
from tests.vendors.mediaconvert import CERTIFICATE_URL, TOPIC, FakeMediaConvert, certificate

PATH = "/api/video-assets/webhook/aws"


class Certificates:
    """The server of certificates: it answers, or refuses."""

    def __init__(self) -> None:
        self.refusal: FetchRefused | None = None
        self.asked: list[str] = []

    def fetch(self, url: str, hosts: Collection[str]) -> bytes:
        assert hosts == {"sns.eu-central-1.amazonaws.com"}
        self.asked.append(url)
        if self.refusal:
            raise self.refusal
        return certificate()


@pytest.fixture
def certificates() -> Certificates:
    return Certificates()


@pytest.fixture
def aws() -> FakeMediaConvert:
    return FakeMediaConvert()


@pytest.fixture
def api(
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    aws: FakeMediaConvert,
    certificates: Certificates,
) -> Iterator[Client]:
    own = {**aws.environment("aws"), "KHRONIKA_AWS_SNS_TOPIC_ARN": TOPIC}
    own["KHRONIKA_AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    for name, value in {**own, "KHRONIKA_ACCOUNTS": "selfhosted,aws:mediaconvert"}.items():
        monkeypatch.setenv(name, value)
    with serving(monkeypatch) as client:
        documents = CallbackDocuments(certificates.fetch)
        client.app.extensions[EXTENSION] = replace(client.services, documents=documents)
        yield client


def event(aws: FakeMediaConvert, **members: Any) -> FakeCallback:
    return aws.by_sns(aws.event(aws.orphan().job_id, "COMPLETE"), **members)


def test_a_callback_is_stored_once_and_its_certificate_is_fetched_once(
    api: Client, world: World, aws: FakeMediaConvert, certificates: Certificates
) -> None:
    sent = event(aws)

    answers = [send(api, sent.headers, sent.body, PATH).json()["result"] for _ in range(2)]

    assert answers == ["stored", "duplicate"]
    stored = world.only(Delivery)
    assert stored.event_id == sent.headers["x-amz-sns-message-id"]
    assert "x-amz-sns-message-type" in {name.lower() for name in stored.headers}
    assert certificates.asked == [CERTIFICATE_URL]


def test_a_callback_whose_certificate_does_not_arrive_now_is_to_be_sent_again(
    api: Client, world: World, aws: FakeMediaConvert, certificates: Certificates
) -> None:
    certificates.refusal = FetchRefused(FetchCode.SOURCE_TIMEOUT, "slow", transient=True)
    sent = event(aws)

    answer = send(api, sent.headers, sent.body, PATH)

    assert (answer.status_code, answer.json()["code"]) == (503, "callbacks_unavailable")
    assert answer.headers["Retry-After"]
    assert world.count(Delivery) == world.count(AuditEvent) == 0


def test_a_callback_whose_certificate_there_is_not_is_refused(
    api: Client, world: World, aws: FakeMediaConvert, certificates: Certificates
) -> None:
    certificates.refusal = FetchRefused(FetchCode.SOURCE_UNREACHABLE, "404", status=404)
    sent = event(aws)

    answer = send(api, sent.headers, sent.body, PATH)

    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    assert world.only(AuditEvent).reason == "documents_unavailable"


def test_a_message_of_another_topic_fetches_nothing(
    api: Client, world: World, aws: FakeMediaConvert, certificates: Certificates
) -> None:
    sent = event(aws, TopicArn=f"{TOPIC}2")

    assert send(api, sent.headers, sent.body, PATH).status_code == 401

    assert world.only(AuditEvent).reason == "other_topic"
    assert certificates.asked == []
