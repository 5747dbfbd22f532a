"""Adapter of AWS Elemental MediaConvert, which writes to a bucket of ours and hosts nothing.

Its callbacks are events of EventBridge: by SNS, whose messages are signed, or by an API destination
with a secret in a header. Answers and events have the user metadata of their job, which name our
attempt and the places of the outputs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from itertools import count
from secrets import token_urlsafe
from typing import Any, Self, TypeVar

import boto3
from pydantic import (
    AnyHttpUrl,
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.config.account_settings import AccountSettings
from pipeline.domain.errors import TransientProviderError, UnknownOutcome
from pipeline.domain.values import (
    CallbackEnvelope,
    ConfirmSubscription,
    JobRef,
    ListedJob,
    Profile,
    ProviderStatus,
    Rate,
    SignedCallback,
    SubmitRequest,
    Submitted,
    Verb,
)
from pipeline.net.provider_signatures import check_opaque_secret, verify_secret_header
from pipeline.net.signatures import Rejection, SignatureRejected
from pipeline.net.sns_signatures import (
    CONFIRMATION,
    NOTIFICATION,
    TYPE_HEADER,
    SnsMessage,
    has_certificate_path,
    read_sns,
    sns_host,
    verify_sns,
)
from pipeline.providers.adapters.mediaconvert.job_reports import (
    ENDED,
    PHASES,
    JobAnswer,
    JobPage,
    JobReport,
    JobUndocumented,
    event_of,
    news_of,
    status_of,
)
from pipeline.providers.adapters.mediaconvert.job_settings import job_settings, user_metadata
from pipeline.providers.aws_calls import ask_once, once, request_id_of, submit_once
from pipeline.providers.base import (
    Adapter,
    CallbackUnreadable,
    Capabilities,
    Opening,
    OutputKind,
    SecretFormat,
    Trust,
)
from pipeline.providers.callback_events import event_id_of

SECRET_HEADER = "x-khronika-secret"  # noqa: S105 - a name
UPDATE_INTERVAL = "SECONDS_30"
PAGE, MAX_PAGES = 20, 50
"""Jobs in an answer, which is the service's most, and answers that a look-up reads at the most."""
CLOCK_SKEW = timedelta(minutes=5)
"""Largest difference of the clocks: the service refuses requests that are signed with an older
time."""

Document = TypeVar("Document", bound=BaseModel)


class Settings(AccountSettings):
    """An account of AWS Elemental MediaConvert."""

    region: str = Field(pattern=r"^[a-z0-9-]{4,32}$")
    """The AWS region of the jobs, such as ``eu-central-1``."""
    role: str = Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.{1,512}$")
    """ARN of the IAM role by which the service reads sources and writes outputs."""
    destination: str = Field(pattern=r"^s3://[a-z0-9.-]{3,63}(/[^\s?#]*)?$")
    """The bucket of ``STORAGE_URL`` and its prefix, if it has one: ``s3://bucket/prefix``."""
    queue: str | None = None
    """Name or ARN of a queue. Unset: the default queue."""
    access_key_id: str | None = None
    """Access key. Unset: boto3's own search, such as the role of the machine."""
    secret_access_key: SecretStr | None = None
    """The secret of the access key."""
    endpoint_url: AnyHttpUrl | None = None
    """Address of the service. Unset: that of the region."""
    sns_topic_arn: str | None = None
    """ARN of the SNS topic whose messages are taken. Unset: events come by an API destination, with
    a callback secret in the header ``x-khronika-secret``."""

    @field_validator("sns_topic_arn")
    @classmethod
    def _is_topic(cls, value: str | None) -> str | None:
        if value is not None:
            sns_host(value)
        return value

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if (self.access_key_id is None) is not (self.secret_access_key is None):
            raise ValueError("ACCESS_KEY_ID and SECRET_ACCESS_KEY of an account need each other")
        return self


class MediaConvert:
    """The adapter of the service's API, version 2017-08-29."""

    def __init__(self, opening: Opening) -> None:
        settings: Settings = opening.settings
        self.name = opening.name
        self._settings = settings
        self._topic = settings.sns_topic_arn
        self._tolerance_sec = opening.tolerance_sec
        self._client = _client(settings, opening.timeout_sec)
        documents = frozenset({sns_host(self._topic)} if self._topic else ())
        self.trust = Trust(settings.output_hosts, settings.webhook_sources, documents)
        self.capabilities = Capabilities(
            idempotent_submit=False,  # the token of a request counts for a minute only
            margin_sec=60,
            writes_to_our_storage=True,
            signed_playback=True,
            caps=frozenset(Profile),
            # The service's limits differ by region; these are lower.
            pace={Verb.WRITE: Rate(1, burst=10), Verb.READ: Rate(1, burst=10)},
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def submit(self, request: SubmitRequest) -> Submitted:
        """Create the job, with the token by which the same request within a minute is one job."""
        queue = {"Queue": self._settings.queue} if self._settings.queue else {}
        answer = submit_once(
            self._client.create_job,
            Role=self._settings.role,
            Settings=job_settings(request, self._settings.destination),
            ClientRequestToken=str(request.attempt_id),
            UserMetadata=user_metadata(request),
            StatusUpdateInterval=UPDATE_INTERVAL,
            **queue,
        )
        try:
            return Submitted(_read(JobAnswer, answer).job.id, request_id_of(answer))
        except TransientProviderError as error:
            raise UnknownOutcome(error.code, str(error), request_id=error.request_id) from error

    def advance(self, job: JobRef, follow_up: str) -> None:
        """Do nothing: one job makes all outputs."""

    def find(self, job: JobRef) -> ProviderStatus | None:
        """List the jobs, newest first, until one has our id or is older than the call."""
        listed = self._list_back_to(job.intended_at - CLOCK_SKEW, range(MAX_PAGES))
        found = next((each for each in listed if each.attempt_id == job.attempt_id), None)
        return _status(found, None) if found else None

    def fetch(self, job: JobRef) -> ProviderStatus | None:
        """Get the job."""
        answer = ask_once(self._client.get_job, {"Id": job.provider_job_id})
        if answer is None:
            return None
        return _status(_read(JobAnswer, answer).job, request_id_of(answer))

    def cancel(self, job: JobRef) -> None:
        """Cancel the job. Its files lie in our storage, and are ours to remove."""
        job_id = job.provider_job_id
        if job_id is None:
            found = self.find(job)
            job_id = found.provider_job_id if found else None
        if job_id is not None:
            ended = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
            ask_once(self._client.cancel_job, {"Id": job_id}, absent=ended)

    def list_since(self, instant: datetime) -> Iterator[ListedJob]:
        """Yield the jobs, the newest first. Those that have ended are records, kept for a while."""
        for job in self._list_back_to(instant, count()):
            assert job.created_at is not None
            is_over = PHASES.get(job.status) in ENDED
            yield ListedJob(job.id, job.created_at, job.attempt_id, job.length_sec, is_over)

    def sign(self, address: str, kind: OutputKind, until: datetime) -> str:
        """Refuse: its outputs lie in our own storage, which signs their addresses itself."""
        raise NotImplementedError

    def documents_for(self, envelope: CallbackEnvelope) -> Sequence[str]:
        """Return the address of the certificate, for a message of our topic."""
        try:
            message = self._message(envelope)
        except SignatureRejected:
            return ()
        return (message.certificate_url,) if message is not None else ()

    def verify_callback(
        self, envelope: CallbackEnvelope, secrets: Sequence[str], now: datetime
    ) -> SignedCallback:
        """Verify the signature of SNS, or the secret of an API destination."""
        message = self._message(envelope)
        if message is None:
            verify_secret_header(envelope.headers, SECRET_HEADER, secrets)
            return SignedCallback(_event_id(envelope.body))
        certificate = envelope.documents.get(message.certificate_url)
        if certificate is None:
            raise SignatureRejected(Rejection.DOCUMENTS_UNAVAILABLE)
        sent_at = verify_sns(message, certificate, now=now, tolerance_sec=self._tolerance_sec)
        return SignedCallback(message.id, sent_at, sha256(message.content).hexdigest())

    def read_callback(
        self, envelope: CallbackEnvelope
    ) -> ProviderStatus | ConfirmSubscription | None:
        """Read an event, or the request of SNS to confirm the subscription."""
        try:
            message = self._message(envelope)
        except SignatureRejected as error:
            raise CallbackUnreadable("not a message of our topic") from error
        if message is None:
            return news_of(event_of(envelope.body))
        if message.type == CONFIRMATION:
            return ConfirmSubscription(message.subscribe_url)
        return news_of(event_of(message.text.encode())) if message.type == NOTIFICATION else None

    def _message(self, envelope: CallbackEnvelope) -> SnsMessage | None:
        """Read a message of SNS; None for a callback that has not come by SNS.

        Anybody may have a topic, and SNS signs the messages of all, so only one topic counts.

        Raises:
            SignatureRejected: It is no message of our topic.
        """
        if self._topic is None or TYPE_HEADER not in envelope.headers:
            return None
        message = read_sns(envelope.body)
        if message.topic_arn != self._topic:
            raise SignatureRejected(Rejection.OTHER_TOPIC)
        if not has_certificate_path(message.certificate_url, sns_host(self._topic)):
            raise SignatureRejected(Rejection.BAD_SIGNATURE)
        return message

    def _list_back_to(self, instant: datetime, pages: Iterable[int]) -> Iterator[JobReport]:
        """Yield the jobs made at an instant or later, the newest first.

        Args:
            pages: As many numbers as pages may be read.

        Raises:
            TransientProviderError: There are more than a look-up reads, so no absence is proved.
        """
        token: Mapping[str, Any] = {}
        for _ in pages:
            query = {"Order": "DESCENDING", "MaxResults": PAGE, **token}
            page = _read(JobPage, ask_once(self._client.list_jobs, query) or {})
            for job in page.jobs:
                if job.created_at is None or job.created_at < instant:
                    return
                yield job
            if page.next_token is None:
                return
            token = {"NextToken": page.next_token}
        raise TransientProviderError("provider_failed", "too many jobs to look through")


def make_secret() -> str:
    """Make a secret for the header of an API destination."""
    return token_urlsafe(32)


ADAPTER = Adapter(
    settings=Settings, open=MediaConvert, secrets=SecretFormat(check_opaque_secret, make_secret)
)


def _client(settings: Settings, timeout_sec: float) -> Any:
    secret = settings.secret_access_key
    return boto3.client(
        "mediaconvert",
        region_name=settings.region,
        endpoint_url=str(settings.endpoint_url) if settings.endpoint_url else None,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=once(timeout_sec),
    )


def _read(schema: type[Document], answer: Mapping[str, Any]) -> Document:
    try:
        return schema.model_validate(answer)
    except ValidationError as error:
        raise _unreadable(error, request_id_of(answer)) from error


def _status(job: JobReport, request_id: str | None) -> ProviderStatus:
    try:
        return status_of(job, request_id)
    except JobUndocumented as error:
        raise _unreadable(error, request_id) from error


def _unreadable(error: ValueError, request_id: str | None) -> TransientProviderError:
    message = f"unreadable: {type(error).__name__}"
    return TransientProviderError("provider_failed", message, request_id=request_id)


def _event_id(body: bytes) -> str:
    try:
        return event_id_of(body, event_of(body).id)
    except CallbackUnreadable:
        return event_id_of(body)
