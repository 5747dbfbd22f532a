"""A fake of AWS Elemental MediaConvert: jobs, their list, and its events by both ways.

Requests are held against the service's own model, as botocore ships it. Events come by an API
destination of EventBridge; ``by_sns`` sends the same event by SNS, signed with a certificate made
here.

Habits:
    silent: no event is sent.
    forgets_tokens: the minute is over in which a request with the same token makes no second job.
"""

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, uuid4, uuid5

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Flask, Response, request

from pipeline.domain.values import Phase, Profile
from pipeline.net.signatures import Rejection
from pipeline.providers.base import echoed_id
from tests.vendors.aws_shapes import faults, service
from tests.vendors.fake import (
    ENDED,
    FakeCallback,
    FakeJob,
    FakeVendor,
    Forgery,
    document,
)
from tests.vendors.mux import signing_key
from tests.vendors.outputs import placed

REGION, AWS_ACCOUNT = "eu-central-1", "111122223333"
KEY_ID, KEY_SECRET = "AKIDEXAMPLE0000000000", "mediaconvert-secret-key"
ROLE = f"arn:aws:iam::{AWS_ACCOUNT}:role/MediaConvert"
TOPIC = f"arn:aws:sns:{REGION}:{AWS_ACCOUNT}:videos"
DESTINATION = "s3://post-videos"
CERTIFICATE_URL = f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService-01.pem"
STATUSES = {
    Phase.WAITING: "SUBMITTED",
    Phase.RUNNING: "PROGRESSING",
    Phase.COMPLETED: "COMPLETE",
    Phase.FAILED: "ERROR",
    Phase.CANCELLED: "CANCELED",
}
EVENTS = {**STATUSES, Phase.RUNNING: "STATUS_UPDATE"}
OPERATIONS = {"submit": "CreateJob", "list": "ListJobs", "get": "GetJob", "delete": "CancelJob"}
ERRORS = {
    400: "BadRequestException",
    402: "ServiceQuotaExceededException",
    403: "ForbiddenException",
    404: "NotFoundException",
    409: "ConflictException",
    429: "TooManyRequestsException",
}


@cache
def certificate() -> bytes:
    """The PEM of a certificate of the key that signs for SNS here."""
    now = datetime.now().astimezone()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signing_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(signing_key(), SHA256())
    )
    return made.public_bytes(Encoding.PEM)


class FakeMediaConvert(FakeVendor):
    adapter = "mediaconvert"
    calls = frozenset(OPERATIONS)
    phases = frozenset(STATUSES)
    signs_time = False
    secret = "eventbridge-connection-secret-0001"
    duration_ms: ClassVar[int] = 5280

    def route(self, app: Flask) -> None:
        jobs = "/2017-08-29/jobs"
        app.add_url_rule(jobs, "submit", self._submit, methods=["POST"])
        app.add_url_rule(jobs, "list", self._list, methods=["GET"])
        app.add_url_rule(f"{jobs}/<job_id>", "get", self._get, methods=["GET"])
        app.add_url_rule(f"{jobs}/<job_id>", "delete", self._delete, methods=["DELETE"])

    def authorised(self) -> bool:
        scope = f"/{REGION}/mediaconvert/aws4_request"
        given = request.headers.get("Authorization", "")
        return given.startswith(f"AWS4-HMAC-SHA256 Credential={KEY_ID}/") and scope in given

    def violation(self) -> str | None:
        shape = service("mediaconvert").operation_model(OPERATIONS[request.endpoint or ""])
        assert shape.input_shape is not None
        integers = {"maxResults"}
        sent = {k: int(v) if k in integers else v for k, v in request.args.items()}
        sent |= {"id": id_} if (id_ := (request.view_args or {}).get("job_id")) else {}
        sent |= request.get_json() if request.endpoint == "submit" else {}
        return "; ".join(faults(shape.input_shape, sent)) or None

    def refusal(self, status: int, retry_after: str | None) -> Response:
        headers = {"Retry-After": retry_after} if retry_after else {}
        headers["x-amzn-ErrorType"] = ERRORS.get(status, "InternalServerErrorException")
        return _answer(status, {"message": f"scripted {status}"}, headers)

    def environment(self, account: str) -> dict[str, str]:
        prefix = f"KHRONIKA_{account.upper()}_"
        return {
            f"{prefix}ENDPOINT_URL": self.url,
            f"{prefix}REGION": REGION,
            f"{prefix}ROLE": ROLE,
            f"{prefix}DESTINATION": DESTINATION,
            f"{prefix}ACCESS_KEY_ID": KEY_ID,
            f"{prefix}SECRET_ACCESS_KEY": KEY_SECRET,
            f"{prefix}WEBHOOK_SECRETS": self.secret,
        }

    def move(self, job_id: str, phase: Phase) -> None:
        job = self.jobs[job_id]
        job.phase = phase
        job.cancelled = job.cancelled or phase is Phase.CANCELLED

    def end(self, job_id: str, code: int) -> None:
        """Let a job fail with this error of the service."""
        self.move(job_id, Phase.FAILED)
        self.jobs[job_id].facts["error"] = code

    def callbacks_for(self, job_id: str, phase: Phase) -> list[FakeCallback]:
        if phase not in EVENTS or phase is Phase.WAITING or "silent" in self.habits:
            return []
        return [self.by_destination(self.event(job_id, EVENTS[phase]))]

    def event(self, job_id: str, status: str) -> dict[str, Any]:
        """An event of a job as EventBridge has it."""
        job = self.jobs[job_id]
        detail: dict[str, Any] = {
            "timestamp": int(job.created_at.timestamp() * 1000),
            "accountId": AWS_ACCOUNT,
            "queue": f"arn:aws:mediaconvert:{REGION}:{AWS_ACCOUNT}:queues/Default",
            "jobId": job_id,
            "status": status,
            "userMetadata": job.spec.get("userMetadata", {}),
        }
        if status == "COMPLETE":
            detail["outputGroupDetails"] = self._groups(job)
        if status == "STATUS_UPDATE":
            detail["jobProgress"] = {"jobPercentComplete": 39, "currentPhase": "TRANSCODING"}
        if status == "ERROR":
            detail |= self._error(job)
        return {
            "version": "0",
            "id": str(uuid5(NAMESPACE_URL, f"{job_id}/{status}")),
            "detail-type": "MediaConvert Job State Change",
            "source": "aws.mediaconvert",
            "account": AWS_ACCOUNT,
            "time": self.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": [f"arn:aws:mediaconvert:{REGION}:{AWS_ACCOUNT}:jobs/{job_id}"],
            "detail": detail,
        }

    def by_destination(self, event: dict[str, Any]) -> FakeCallback:
        """An event by an API destination, with the secret of its connection."""
        headers = {"content-type": "application/json", "x-khronika-secret": self.secret}
        return FakeCallback(headers, json.dumps(event).encode())

    def by_sns(
        self, event: dict[str, Any], *, version: str = "2", age_sec: int = 0, **members: str
    ) -> FakeCallback:
        """An event by SNS: its message is the text of the event.

        Args:
            members: Members of the message that replace or extend the usual ones, and are signed.
        """
        sent = {"Message": json.dumps(event), "SignatureVersion": version, **members}
        return self._message(sent, age_sec)

    def subscription(self, **members: str) -> FakeCallback:
        """The first message of a topic, which asks for a confirmation."""
        url = f"https://sns.{REGION}.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}"
        asked = {"Type": "SubscriptionConfirmation", "Token": "t" * 64, "SubscribeURL": url}
        return self._message({"Message": "You have chosen to subscribe", **asked, **members})

    def _message(self, members: dict[str, str], age_sec: int = 0) -> FakeCallback:
        sent_at = self.now() - timedelta(seconds=age_sec)
        message = {
            "Type": "Notification",
            "MessageId": str(uuid4()),
            "TopicArn": TOPIC,
            "Timestamp": sent_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "SignatureVersion": "2",
            "SigningCertURL": CERTIFICATE_URL,
            "UnsubscribeURL": f"https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe",
            **members,
        }
        message["Signature"] = signature_of(message)
        headers = {
            "content-type": "text/plain; charset=UTF-8",
            "x-amz-sns-message-type": message["Type"],
            "x-amz-sns-message-id": message["MessageId"],
            "x-amz-sns-topic-arn": message["TopicArn"],
        }
        return FakeCallback(headers, json.dumps(message).encode())

    def redelivered(self, callback: FakeCallback) -> FakeCallback:
        return callback

    def forged(self, callback: FakeCallback) -> list[Forgery]:
        unsigned = {k: v for k, v in callback.headers.items() if k != "x-khronika-secret"}
        as_sns = {**unsigned, "x-amz-sns-message-type": "Notification"}
        return [
            Forgery(self.signed_by(callback, "another-secret"), Rejection.BAD_SIGNATURE),
            Forgery(self.signed_by(callback, f"{self.secret}0"), Rejection.BAD_SIGNATURE),
            Forgery(callback._replace(headers=unsigned), Rejection.MISSING_HEADER),
            Forgery(callback._replace(headers=as_sns), Rejection.MISSING_HEADER),
        ]

    def signed_by(self, callback: FakeCallback, secret: str) -> FakeCallback:
        return callback._replace(headers={**callback.headers, "x-khronika-secret": secret})

    def stored(self, job_id: str) -> Mapping[str, Path]:
        assert self.outputs is not None
        named = self.jobs[job_id].spec["userMetadata"]
        return placed(self.outputs, *(named[kind] for kind in ("manifest", "fallback", "poster")))

    def orphan(self) -> FakeJob:
        return self._take({"userMetadata": {"film": "holiday"}})

    def cap_of(self, job_id: str) -> Profile | None:
        spec = self.jobs[job_id].spec
        cap = spec["userMetadata"].get("max_profile")
        return Profile(cap) if cap else None  # an owner reads it there; the ladder obeys it

    def _take(self, spec: dict[str, Any]) -> FakeJob:
        metadata = spec.get("userMetadata", {})
        job_id = f"{int(self.now().timestamp() * 1000)}-{secrets.token_hex(3)}"
        job = FakeJob(job_id, echoed_id(metadata.get("attempt_id")), self.now(), spec)
        self.jobs[job_id] = job
        return job

    def _submit(self) -> Response:
        spec = request.get_json()
        token = spec.get("clientRequestToken")
        same = [job for job in self.jobs.values() if job.spec.get("clientRequestToken") == token]
        if token and same and "forgets_tokens" not in self.habits:
            return _answer(201, {"job": self._job(same[0])})
        return _answer(201, {"job": self._job(self._take(spec))})

    def _list(self) -> Response:
        limit = request.args.get("maxResults", 20, int)
        start = request.args.get("nextToken", 0, int)
        newest_first = request.args.get("order") == "DESCENDING"
        found = sorted(self.jobs.values(), key=lambda job: job.created_at, reverse=newest_first)
        page: dict[str, Any] = {"jobs": [self._job(job) for job in found[start : start + limit]]}
        if start + limit < len(found):
            page["nextToken"] = str(start + limit)
        return _answer(200, page)

    def _get(self, job_id: str) -> Response:
        job = self.jobs.get(job_id)
        return _answer(200, {"job": self._job(job)}) if job else self.refusal(404, None)

    def _delete(self, job_id: str) -> Response:
        job = self.jobs.get(job_id)
        if job is None:
            return self.refusal(404, None)
        if job.phase in ENDED:
            return self.refusal(409, None)
        self.move(job_id, Phase.CANCELLED)
        return _answer(202, {})

    def _job(self, job: FakeJob) -> dict[str, Any]:
        described: dict[str, Any] = {
            "id": job.job_id,
            "arn": f"arn:aws:mediaconvert:{REGION}:{AWS_ACCOUNT}:jobs/{job.job_id}",
            "createdAt": job.created_at.timestamp(),
            "status": STATUSES[job.phase],
            "role": ROLE,
            "userMetadata": job.spec.get("userMetadata", {}),
            "settings": job.spec.get("settings", {}),
        }
        if job.phase is Phase.RUNNING:
            described |= {"jobPercentComplete": 39, "currentPhase": "TRANSCODING"}
        if job.phase is Phase.COMPLETED:
            described["outputGroupDetails"] = self._groups(job)
        if job.phase is Phase.FAILED:
            described |= self._error(job)
        return described

    def _groups(self, job: FakeJob) -> list[dict[str, Any]]:
        groups = job.spec.get("settings", {}).get("outputGroups", [])
        return [
            {"outputDetails": [self._made(output) for output in group["outputs"]]}
            for group in groups
        ]

    def _made(self, output: dict[str, Any]) -> dict[str, Any]:
        picture = output["videoDescription"]
        sides = {"widthInPx": picture["width"], "heightInPx": picture["height"]}
        return {"durationInMs": self.duration_ms, "videoDetails": sides}

    def _error(self, job: FakeJob) -> dict[str, Any]:
        code = job.facts.get("error", 1040)
        return {"errorCode": code, "errorMessage": f"Example error message {code}"}


def signature_of(message: dict[str, str]) -> str:
    """The signature of SNS over a message."""
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if message["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    algorithm = SHA1() if message["SignatureVersion"] == "1" else SHA256()
    return base64.b64encode(signing_key().sign(text.encode(), PKCS1v15(), algorithm)).decode()


def _answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    return document(status, body, {"x-amzn-RequestId": str(uuid4()), **(headers or {})})
