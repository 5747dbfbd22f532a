"""Verification of messages that Amazon SNS delivers by HTTPS.

SNS signs a text of some members of the message, with the private key of a certificate that the
message names by its address (https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html).
The certificate must come from a host of SNS by https; the caller fetches it, because nothing here
uses the network.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import Certificate, load_pem_x509_certificate

from pipeline.net.signatures import Rejection, SignatureRejected
from pipeline.runtime.strict_json import DocumentRefused, read_document

TYPE_HEADER = "x-amz-sns-message-type"
NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
SIGNED: Mapping[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
"""The members that are signed, in this order. ``UnsubscribeConfirmation`` is signed like the
confirmation."""
RETRIES_SEC = 3600
"""Longest time over which SNS repeats a delivery by HTTPS. Every try has the time of the first."""

_HASHES: Mapping[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - version 1 signs by SHA-1
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")
_ARN = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]{1,32}):[0-9]{12}:[A-Za-z0-9_-]{1,256}")
_ID = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class SnsMessage:
    """A message whose signature is still to be checked.

    Attributes:
        members: The members of the message that are texts.
    """

    members: Mapping[str, str]

    @property
    def type(self) -> str:
        """``Notification``, ``SubscriptionConfirmation`` or ``UnsubscribeConfirmation``."""
        return self.members["Type"]

    @property
    def id(self) -> str:
        """The id that every try of a delivery has."""
        return self.members["MessageId"]

    @property
    def topic_arn(self) -> str:
        """The topic; anybody may have one, and SNS signs the messages of all."""
        return self.members["TopicArn"]

    @property
    def text(self) -> str:
        """The text that was published."""
        return self.members["Message"]

    @property
    def subscribe_url(self) -> str:
        """The address that confirms a subscription; empty in other messages."""
        return self.members.get("SubscribeURL", "")

    @property
    def certificate_url(self) -> str:
        """The address of the certificate, as the message claims it."""
        return self.members["SigningCertURL"]

    @property
    def content(self) -> bytes:
        """The text that is signed."""
        names = SIGNED.get(self.type, SIGNED[CONFIRMATION])
        signed = (name for name in names if name in self.members)
        return "".join(f"{name}\n{self.members[name]}\n" for name in signed).encode()


def region_of(topic_arn: str) -> str:
    """Return the region of a topic.

    Raises:
        ValueError: It is not the ARN of a topic.
    """
    found = _ARN.fullmatch(topic_arn)
    if found is None:
        raise ValueError("is no ARN of an SNS topic")
    return found[1]


def sns_host(topic_arn: str) -> str:
    """Return the host that has the certificates and the confirmations of a topic."""
    return f"sns.{region_of(topic_arn)}.amazonaws.com"


def read_sns(body: bytes) -> SnsMessage:
    """Read a message, verified or not.

    Raises:
        SignatureRejected: It is no message of SNS.
    """
    try:
        document = read_document(body)
    except DocumentRefused:
        document = None
    members = document if isinstance(document, dict) else {}
    texts = {name: value for name, value in members.items() if isinstance(value, str)}
    needed = {"Type", "MessageId", "TopicArn", "Message", "Timestamp", "SigningCertURL"}
    if not needed <= texts.keys() or not _ID.fullmatch(texts["MessageId"]):
        raise SignatureRejected(Rejection.BAD_SIGNATURE)
    return SnsMessage(texts)


def has_certificate_path(url: str, host: str) -> bool:
    """Return true if an address is that of a certificate of SNS at this host."""
    prefix = f"https://{host}"
    return url.startswith(prefix) and bool(_CERTIFICATE_PATH.fullmatch(url[len(prefix) :]))


def verify_sns(
    message: SnsMessage,
    certificate: bytes,
    *,
    now: datetime,
    tolerance_sec: int = 300,
) -> datetime:
    """Check the signature and the time of a message. The caller checks its topic.

    Args:
        certificate: The PEM at ``message.certificate_url``.
        now: Current time, aware.
        tolerance_sec: Largest difference of the clocks.

    Returns:
        The time of the message, which is that of its first delivery.

    Raises:
        SignatureRejected: See `Rejection`.
    """
    _check_signature(message, certificate, now)
    sent_at = _time_of(message)
    age_sec = (now - sent_at).total_seconds()
    if age_sec > RETRIES_SEC + tolerance_sec:
        raise SignatureRejected(Rejection.STALE_TIMESTAMP)
    if age_sec < -tolerance_sec:
        raise SignatureRejected(Rejection.FUTURE_TIMESTAMP)
    return sent_at


def _check_signature(message: SnsMessage, certificate: bytes, now: datetime) -> None:
    algorithm = _HASHES.get(message.members.get("SignatureVersion", ""))
    try:
        signature = base64.b64decode(message.members.get("Signature", ""), validate=True)
        key = _key_of(load_pem_x509_certificate(certificate), now)
        if algorithm is None:
            raise SignatureRejected(Rejection.BAD_SIGNATURE)
        key.verify(signature, message.content, PKCS1v15(), algorithm)
    except (binascii.Error, ValueError, InvalidSignature) as error:
        raise SignatureRejected(Rejection.BAD_SIGNATURE) from error


def _key_of(certificate: Certificate, now: datetime) -> RSAPublicKey:
    key = certificate.public_key()
    within = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    if not within or not isinstance(key, RSAPublicKey):
        raise ValueError("the certificate has expired or has no RSA key")
    return key


def _time_of(message: SnsMessage) -> datetime:
    try:
        instant = datetime.fromisoformat(message.members["Timestamp"])
    except ValueError as error:
        raise SignatureRejected(Rejection.MALFORMED_TIMESTAMP) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
