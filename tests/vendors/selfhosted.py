"""A fake of our own transcoder as one more vendor; `tests.scripted_provider` has the fuller one."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from flask import Flask, Response, request
from standardwebhooks import Webhook

from pipeline.domain.values import Phase, Profile
from pipeline.net.signatures import Rejection
from tests.scripted_provider import SECRET, TOKEN, callback
from tests.vendors.fake import FakeCallback, FakeJob, FakeVendor, Forgery, document
from tests.vendors.outputs import placed

STATUSES = {
    Phase.WAITING: "queued",
    Phase.RUNNING: "running",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}


class FakeTranscoder(FakeVendor):
    adapter = "selfhosted"
    calls = frozenset({"submit", "get", "delete"})
    phases = frozenset(STATUSES)
    lists = False
    secret = SECRET

    def route(self, app: Flask) -> None:
        app.add_url_rule("/v1/jobs/<uuid:job_id>", "submit", self._submit, methods=["PUT"])
        app.add_url_rule("/v1/jobs/<uuid:job_id>", "get", self._get, methods=["GET"])
        app.add_url_rule("/v1/jobs/<uuid:job_id>", "delete", self._delete, methods=["DELETE"])

    def violation(self) -> str | None:
        return None

    def authorised(self) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def refusal(self, status: int, retry_after: str | None) -> Response:
        headers = {"Retry-After": retry_after} if retry_after else {}
        error = {"code": "provider_failed", "message": f"scripted {status}", "retryable": False}
        return document(status, {"error": error}, headers)

    def environment(self, account: str) -> dict[str, str]:
        prefix = f"KHRONIKA_{account.upper()}_"
        return {
            f"{prefix}URL": self.url,
            f"{prefix}TOKEN": TOKEN,
            f"{prefix}WEBHOOK_SECRETS": self.secret,
        }

    def move(self, job_id: str, phase: Phase) -> None:
        job = self.jobs[job_id]
        job.phase = phase
        job.cancelled = job.cancelled or phase is Phase.CANCELLED

    def callbacks_for(self, job_id: str, phase: Phase) -> list[FakeCallback]:
        if phase not in STATUSES:
            return []
        return [_sent(*callback(self._job(self.jobs[job_id]), secret=self.secret))]

    def redelivered(self, callback: FakeCallback) -> FakeCallback:
        return self.signed_by(callback, self.secret)

    def forged(self, callback: FakeCallback) -> list[Forgery]:
        unsigned = {k: v for k, v in callback.headers.items() if k != "webhook-signature"}
        return [
            Forgery(callback._replace(body=callback.body + b" "), Rejection.BAD_SIGNATURE),
            Forgery(callback._replace(headers=unsigned), Rejection.MISSING_HEADER),
        ]

    def stale(self, callback: FakeCallback) -> FakeCallback:
        return self._signed(callback, self.secret, age_sec=3600)

    def signed_by(self, callback: FakeCallback, secret: str) -> FakeCallback:
        return self._signed(callback, secret)

    def stored(self, job_id: str) -> Mapping[str, Path]:
        assert self.outputs is not None
        keys = {
            kind: key.removeprefix("storage:") for kind, key in _keys(self.jobs[job_id]).items()
        }
        return placed(self.outputs, *keys.values())

    def orphan(self) -> FakeJob:
        return self._take(uuid4(), {})

    def cap_of(self, job_id: str) -> Profile | None:
        cap = self.jobs[job_id].spec["max_profile"]
        return Profile(cap) if cap else None

    def _signed(self, callback: FakeCallback, secret: str, age_sec: int = 0) -> FakeCallback:
        event_id, at = callback.headers["webhook-id"], self.now() - timedelta(seconds=age_sec)
        headers = {
            **callback.headers,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(event_id, at, callback.body.decode()),
        }
        return FakeCallback(headers, callback.body)

    def _take(self, attempt_id: UUID, spec: dict[str, Any]) -> FakeJob:
        job = FakeJob(str(attempt_id), attempt_id, self.now(), spec)
        return self.jobs.setdefault(job.job_id, job)

    def _submit(self, job_id: UUID) -> Response:
        return document(201, self._job(self._take(job_id, request.get_json())))

    def _get(self, job_id: UUID) -> Response:
        job = self.jobs.get(str(job_id))
        return document(200, self._job(job)) if job else self.refusal(404, None)

    def _delete(self, job_id: UUID) -> Response:
        if str(job_id) not in self.jobs:
            return self.refusal(404, None)
        self.move(str(job_id), Phase.CANCELLED)
        return document(202, self._job(self.jobs[str(job_id)]))

    def _job(self, job: FakeJob) -> dict[str, Any]:
        measured = {"duration_sec": 5.28, "width": 320, "height": 180, "bytes": 1}
        error = {"code": "encode_failed", "message": "it broke", "retryable": False}
        return {
            "id": job.job_id,
            "status": STATUSES[job.phase],
            "progress": 39,
            "result": {**_keys(job), **measured, "renditions": []},
            "error": error,
        }


def _keys(job: FakeJob) -> dict[str, str]:
    """The places of the outputs, below the prefixes that the job was given."""
    given = job.spec.get("output", {})
    outputs = given.get("prefix", f"processed/{job.job_id}")
    pictures = given.get("poster_prefix", f"posters/{job.job_id}")
    return {
        "manifest": f"storage:{outputs}/master.m3u8",
        "fallback": f"storage:{outputs}/fallback/video.mp4",
        "poster": f"storage:{pictures}/poster.jpg",
        "thumbnail": f"storage:{pictures}/thumb.jpg",
    }


def _sent(headers: dict[str, str], body: bytes) -> FakeCallback:
    return FakeCallback({name.lower(): value for name, value in headers.items()}, body)
