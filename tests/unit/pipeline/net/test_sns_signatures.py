"""The signatures of Amazon SNS, made here with a certificate of our own."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from pipeline.net.signatures import Rejection, SignatureRejected
from pipeline.net.sns_signatures import (
    has_certificate_path,
    read_sns,
    region_of,
    sns_host,
    verify_sns,
)
from tests.vendors.fake import FakeCallback
from tests.vendors.mediaconvert import FakeMediaConvert, certificate
from tests.vendors.mux import signing_key

HOUR = timedelta(hours=1)
HOST = "sns.eu-central-1.amazonaws.com"


@pytest.fixture(scope="module")
def aws() -> FakeMediaConvert:
    return FakeMediaConvert()


def now() -> datetime:
    """The time at which the fake signs: that of each test, however late it runs."""
    return datetime.now(UTC)


def verify(
    callback: FakeCallback, pem: bytes | None = None, at: datetime | None = None
) -> datetime:
    return verify_sns(read_sns(callback.body), pem or certificate(), now=at or now())


def rejection(
    callback: FakeCallback, pem: bytes | None = None, at: datetime | None = None
) -> Rejection:
    with pytest.raises(SignatureRejected) as refused:
        verify(callback, pem, at)
    return refused.value.reason


def altered(callback: FakeCallback, **members: Any) -> FakeCallback:
    """The message with other members, and the signature that it had."""
    message = {**json.loads(callback.body), **members}
    kept = {name: value for name, value in message.items() if value is not None}
    return callback._replace(body=json.dumps(kept).encode())


def certificate_of(key: Any, until: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now() - 2 * HOUR, until)
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "a subject: ü"}], ids=["bare", "subject"])
def test_a_notification_verifies(
    aws: FakeMediaConvert, version: str, subject: dict[str, Any]
) -> None:
    sent_at = verify(aws.by_sns({"text": "ü"}, version=version, **subject))

    assert abs(sent_at - now()) < timedelta(minutes=1)


def test_a_subscription_verifies_with_its_address_and_its_token(aws: FakeMediaConvert) -> None:
    asked = aws.subscription()

    verify(asked)

    for name in ("SubscribeURL", "Token"):
        assert rejection(altered(asked, **{name: "x"})) is Rejection.BAD_SIGNATURE


@pytest.mark.parametrize(
    "name", ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", "SignatureVersion"]
)
def test_every_signed_member_is_signed(aws: FakeMediaConvert, name: str) -> None:
    sent = aws.by_sns({}, Subject="a subject")

    assert rejection(altered(sent, **{name: "1"})) is Rejection.BAD_SIGNATURE


def test_the_members_that_are_not_signed_may_differ(aws: FakeMediaConvert) -> None:
    verify(altered(aws.by_sns({}), UnsubscribeURL="https://elsewhere.example"))


@pytest.mark.parametrize("wrong", ["", "not base64", "AAAA", None])
def test_a_signature_that_is_none_is_refused(aws: FakeMediaConvert, wrong: str | None) -> None:
    assert rejection(altered(aws.by_sns({}), Signature=wrong)) is Rejection.BAD_SIGNATURE


def test_a_certificate_that_is_old_or_of_another_key_verifies_nothing(
    aws: FakeMediaConvert,
) -> None:
    expired = certificate_of(signing_key(), now() - HOUR)
    elliptic = certificate_of(generate_private_key(SECP256R1()), now() + HOUR)

    for pem in (expired, elliptic, b"<html>", b""):
        assert rejection(aws.by_sns({}), pem or b"-") is Rejection.BAD_SIGNATURE


def test_a_delivery_is_repeated_for_an_hour_with_its_first_time(aws: FakeMediaConvert) -> None:
    sent = aws.by_sns({})

    verify(sent, at=now() + HOUR)
    assert rejection(sent, at=now() + 1.2 * HOUR) is Rejection.STALE_TIMESTAMP
    assert rejection(sent, at=now() - 0.2 * HOUR) is Rejection.FUTURE_TIMESTAMP
    odd = aws.by_sns({}, Timestamp="yesterday")
    assert rejection(odd) is Rejection.MALFORMED_TIMESTAMP


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"Type": "Notification"}'])
def test_a_body_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureRejected):
        read_sns(body)


@pytest.mark.parametrize("message_id", ["", "a b", "x" * 256, 7])
def test_a_message_id_that_cannot_be_a_key_is_refused(
    aws: FakeMediaConvert, message_id: object
) -> None:
    with pytest.raises(SignatureRejected):
        read_sns(altered(aws.by_sns({}), MessageId=message_id).body)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://{HOST}/SimpleNotificationService-0a1b.pem", True),
        (f"http://{HOST}/SimpleNotificationService-0a1b.pem", False),
        (f"https://{HOST}/SimpleNotificationService-0a1b.pem?a=b", False),
        (f"https://{HOST}/other/SimpleNotificationService-0a1b.pem", False),
        (f"https://{HOST}@evil.example/SimpleNotificationService-0a1b.pem", False),
        (f"https://{HOST}.evil.example/SimpleNotificationService-0a1b.pem", False),
        ("https://evil.example/SimpleNotificationService-0a1b.pem", False),
        (f"https://{HOST}/SimpleNotificationService-.pem", False),
    ],
)
def test_only_the_address_of_a_certificate_of_sns_is_one(url: str, expected: bool) -> None:
    assert has_certificate_path(url, HOST) is expected


def test_the_host_of_a_topic_is_that_of_its_region() -> None:
    assert sns_host("arn:aws:sns:eu-central-1:111122223333:videos") == HOST
    for wrong in ("", "videos", "arn:aws:sqs:eu-central-1:1:q", "arn:aws:sns:evil.example/:1:v"):
        with pytest.raises(ValueError, match="ARN"):
            region_of(wrong)
