"""A fake of Cloudflare Stream: videos, their MP4, their list, their files, and the signed callback.

Requests are held against the types of the vendor's own Python library (``cloudflare`` 5.9, from
its OpenAPI description).

Habits:
    silent: no callback is sent.
    ready_early: a video is ready at 39 %, and whole only when it is completed.
    mp4_fails: the MP4 ends in error.
    old_names: a callback has ``errReasonCode``, as the vendor's page shows it.
    fmp4: the segments are fMP4 and not MPEG-TS.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
from flask import Flask, Response, request

from pipeline.domain.values import Phase
from pipeline.net.signatures import Rejection
from pipeline.providers.base import echoed_id
from tests.vendors.fake import (
    FakeCallback,
    FakeJob,
    FakeVendor,
    Forgery,
    document,
    file_of,
    readdressed,
)
from tests.vendors.mux import signing_key, signing_key_text
from tests.vendors.outputs import with_captions

ACCOUNT_ID = "f" * 32
TOKEN = "cloudflare-api-token"
KEY_ID = "cloudflare-signing-key"
STATES = {
    Phase.WAITING: "downloading",
    Phase.RUNNING: "inprogress",
    Phase.PLAYABLE: "ready",
    Phase.COMPLETED: "ready",
    Phase.FAILED: "error",
    Phase.CANCELLED: "error",
}
COPY: Mapping[str, type] = {
    "allowedOrigins": list,
    "creator": str,
    "input": str,
    "meta": dict,
    "name": str,
    "requireSignedURLs": bool,
    "scheduledDeletion": str,
    "thumbnailTimestampPct": float,
    "url": str,
    "watermark": dict,
}
"""Members of ``POST /stream/copy``."""
LIST = frozenset(
    [
        "id",
        "after",
        "asc",
        "before",
        "creator",
        "end",
        "include_counts",
        "limit",
        "live_input_id",
        "name",
        "search",
        "start",
        "status",
        "type",
        "video_name",
    ]
)
"""Parameters of ``GET /stream``."""
MAX_CREATOR_CHARS, MAX_PAGE = 64, 1000


class FakeCloudflareStream(FakeVendor):
    adapter = "cloudflare_stream"
    calls = frozenset({"submit", "list", "get", "delete", "ask_mp4", "get_mp4"})
    secret = "85011ed3a913c6ad5f9cf6c5573cc0a7"

    def route(self, app: Flask) -> None:
        stream = f"/client/v4/accounts/{ACCOUNT_ID}/stream"
        app.add_url_rule(f"{stream}/copy", "submit", self._submit, methods=["POST"])
        app.add_url_rule(stream, "list", self._list, methods=["GET"])
        app.add_url_rule(f"{stream}/<uid>", "get", self._get, methods=["GET"])
        app.add_url_rule(f"{stream}/<uid>", "delete", self._delete, methods=["DELETE"])
        mp4 = f"{stream}/<uid>/downloads"
        app.add_url_rule(mp4, "ask_mp4", self._ask_mp4, methods=["POST"])
        app.add_url_rule(mp4, "get_mp4", self._get_mp4, methods=["GET"])
        app.add_url_rule("/<viewed>/manifest/<name>", "manifest", self._manifest)
        app.add_url_rule("/<viewed>/video/360/<name>", "segment", self._segment)
        app.add_url_rule("/<viewed>/thumbnails/thumbnail.jpg", "picture", self._picture)
        app.add_url_rule("/<viewed>/downloads/default.mp4", "mp4", self._mp4_file)

    def authorised(self) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def violation(self) -> str | None:
        if request.endpoint == "submit":
            return _wrong_copy(request.get_json())
        if request.endpoint == "list":
            return _wrong_list(request.args)
        return "a body where none is documented" if request.get_data() else None

    def refusal(self, status: int, retry_after: str | None) -> Response:
        headers = {"Retry-After": retry_after} if retry_after else {}
        error = {"code": 10000 + status, "message": f"scripted {status}"}
        return _answer(status, None, [error], headers)

    def environment(self, account: str) -> dict[str, str]:
        prefix = f"KHRONIKA_{account.upper()}_"
        return {
            f"{prefix}API_URL": f"{self.url}/client/v4",
            f"{prefix}ACCOUNT_ID": ACCOUNT_ID,
            f"{prefix}API_TOKEN": TOKEN,
            f"{prefix}SIGNING_KEY_ID": KEY_ID,
            f"{prefix}SIGNING_PRIVATE_KEY": signing_key_text(),
            f"{prefix}WEBHOOK_SECRETS": self.secret,
            f"{prefix}OUTPUT_HOSTS": "127.0.0.1",
        }

    def move(self, job_id: str, phase: Phase) -> None:
        job = self.jobs[job_id]
        job.phase = phase
        job.cancelled = job.cancelled or phase is Phase.CANCELLED
        job.facts["modified"] = self.now().isoformat()

    def end(self, job_id: str, code: str, words: str = "") -> None:
        """Let a video fail with this error of the vendor."""
        self.move(job_id, Phase.FAILED)
        self.jobs[job_id].facts["error"] = (code, words)

    def callbacks_for(self, job_id: str, phase: Phase) -> list[FakeCallback]:
        told = phase in {Phase.PLAYABLE, Phase.COMPLETED, Phase.FAILED}
        if not told or "silent" in self.habits:
            return []
        return [self._signed(self.video(self.jobs[job_id]))]

    def redelivered(self, callback: FakeCallback) -> FakeCallback:
        """The video as it is by the time of the next try, which may be further."""
        video = json.loads(callback.body)
        return self._signed({**video, "status": {**video["status"], "pctComplete": "99.5"}})

    def forged(self, callback: FakeCallback) -> list[Forgery]:
        altered = callback.body.replace(b'"uid"', b'"uib"', 1)
        unsigned = {k: v for k, v in callback.headers.items() if k != "webhook-signature"}
        return [
            Forgery(self.signed_by(callback, "another secret"), Rejection.BAD_SIGNATURE),
            Forgery(callback._replace(body=altered), Rejection.BAD_SIGNATURE),
            Forgery(callback._replace(headers=unsigned), Rejection.MISSING_HEADER),
        ]

    def stale(self, callback: FakeCallback) -> FakeCallback:
        return self._sign(callback.body, self.secret, age_sec=3600)

    def signed_by(self, callback: FakeCallback, secret: str) -> FakeCallback:
        return self._sign(callback.body, secret)

    def orphan(self) -> FakeJob:
        return self._take({"url": "https://elsewhere.example/a.mp4", "meta": {"name": "holiday"}})

    def video(self, job: FakeJob) -> dict[str, Any]:
        """A video as the vendor describes it now."""
        known = job.phase not in {Phase.WAITING, Phase.RUNNING}
        ready = STATES[job.phase] == "ready"
        return {
            "uid": job.job_id,
            "creator": job.spec.get("creator"),
            "meta": job.spec.get("meta", {}),
            "created": job.created_at.isoformat().replace("+00:00", "Z"),
            "modified": job.facts["modified"],
            "duration": self.duration_sec if known else -1,
            "input": {"width": 320, "height": 180} if known else {"width": -1, "height": -1},
            "size": 1000 if known else 0,
            "readyToStream": ready,
            "requireSignedURLs": job.spec.get("requireSignedURLs", False),
            "status": self._status(job),
            "playback": {
                "hls": f"{self.media_url}/{job.job_id}/manifest/video.m3u8",
                "dash": f"{self.media_url}/{job.job_id}/manifest/video.mpd",
            },
            "thumbnail": f"{self.media_url}/{job.job_id}/thumbnails/thumbnail.jpg",
            "preview": f"{self.media_url}/{job.job_id}/watch",
        }

    def _status(self, job: FakeJob) -> dict[str, Any]:
        early = "ready_early" in self.habits and job.phase is Phase.PLAYABLE
        percents = {Phase.RUNNING: "39.000000", Phase.FAILED: ""}
        percent = "39.000000" if early else percents.get(job.phase, "100.000000")
        name = "err" if "old_names" in self.habits else "error"
        code, words = job.facts.get("error", ("ERR_MALFORMED_VIDEO", "The video is damaged"))
        failed = job.phase is Phase.FAILED
        return {
            "state": STATES[job.phase],
            **({} if job.phase is Phase.WAITING else {"pctComplete": percent}),
            f"{name}ReasonCode": code if failed else "",
            f"{name}ReasonText": words if failed else "",
        }

    def _signed(self, video: dict[str, Any]) -> FakeCallback:
        return self._sign(json.dumps(video).encode(), self.secret)

    def _sign(self, body: bytes, secret: str, age_sec: int = 0) -> FakeCallback:
        stamp = int(self.now().timestamp()) - age_sec
        digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hex()
        signature = f"time={stamp},sig1={digest}"
        headers = {"content-type": "application/json", "webhook-signature": signature}
        return FakeCallback(headers, body)

    def _take(self, spec: dict[str, Any]) -> FakeJob:
        job = FakeJob(secrets.token_hex(16), echoed_id(spec.get("creator")), self.now(), spec)
        self.jobs[job.job_id] = job
        self.move(job.job_id, Phase.WAITING)
        return job

    def _submit(self) -> Response:
        return _answer(200, self.video(self._take(request.get_json())))

    def _list(self) -> Response:
        args, found = request.args, self.billed
        if "video_name" in args:
            name = args["video_name"]
            found = [job for job in found if job.spec.get("meta", {}).get("name") == name]
        if "start" in args:
            start = datetime.fromisoformat(args["start"])
            found = [job for job in found if job.created_at >= start]
        newest_first = args.get("asc") != "true"
        found = sorted(found, key=lambda job: job.created_at, reverse=newest_first)
        limit = args.get("limit", MAX_PAGE, int)
        return _answer(200, [self.video(job) for job in found[:limit]])

    def _get(self, uid: str) -> Response:
        job = self.live(uid)
        return _answer(200, self.video(job)) if job else self.refusal(404, None)

    def _delete(self, uid: str) -> Response:
        if self.live(uid) is None:
            return self.refusal(404, None)
        self.move(uid, Phase.CANCELLED)
        return Response(status=200)

    def _ask_mp4(self, uid: str) -> Response:
        job = self.live(uid)
        if job is None:
            return self.refusal(404, None)
        if STATES[job.phase] != "ready":
            return self.refusal(400, None)
        job.facts["mp4"] = "asked"
        return self._get_mp4(uid)

    def _get_mp4(self, uid: str) -> Response:
        job = self.live(uid)
        if job is None:
            return self.refusal(404, None)
        return _answer(200, {"default": self._mp4(job)} if "mp4" in job.facts else {})

    def _mp4(self, job: FakeJob) -> dict[str, Any]:
        if "mp4_fails" in self.habits:
            return {"status": "error", "percentComplete": 0}
        url = f"{self.media_url}/{job.job_id}/downloads/default.mp4"
        if job.phase is Phase.COMPLETED:
            return {"status": "ready", "percentComplete": 100.0, "url": url}
        return {"status": "inprogress", "percentComplete": 39.0, "url": url}

    def _manifest(self, viewed: str, name: str) -> Response:
        job = self._playable(viewed)
        if isinstance(job, Response):
            return job
        if name == "video.m3u8":
            return readdressed(self._hls("master.m3u8"), lambda uri: uri)
        return readdressed(self._hls(name), lambda uri: f"../../{viewed}/video/360/{uri}")

    def _segment(self, viewed: str, name: str) -> Response:
        job = self._playable(viewed)
        return job if isinstance(job, Response) else file_of(self._hls_folder() / name)

    def _picture(self, viewed: str) -> Response:
        job = self._playable(viewed)
        if isinstance(job, Response):
            return job
        assert self.outputs is not None
        return file_of(self.outputs / "poster.jpg")

    def _mp4_file(self, viewed: str) -> Response:
        job = self._playable(viewed, claim="downloadable")
        if isinstance(job, Response):
            return job
        assert self.outputs is not None
        made = "mp4" in job.facts and job.phase is Phase.COMPLETED
        return file_of(self.outputs / "video.mp4") if made else Response(status=404)

    def _playable(self, viewed: str, claim: str | None = None) -> FakeJob | Response:
        """The video of an id or a token in a path, or the refusal of a viewer without the right."""
        uid, has_token = (viewed, False) if viewed in self.jobs else (_subject(viewed, claim), True)
        job = self.live(uid or "")
        if job is None:
            return Response(status=401 if has_token else 404)
        if STATES[job.phase] != "ready" or self.outputs is None:
            return Response(status=404)
        needs_token = job.spec.get("requireSignedURLs", False)
        return job if has_token or not needs_token else Response(status=401)

    def _hls(self, name: str) -> str:
        text = (self._hls_folder() / name).read_text()
        offers = name == "master.m3u8" and "captions" in self.habits
        return with_captions(text) if offers else text

    def _hls_folder(self) -> Path:
        assert self.outputs is not None
        return self.outputs / ("fmp4" if "fmp4" in self.habits else "ts")


def _subject(token: str, claim: str | None) -> str | None:
    """The video that a token opens; None for one that is not valid, or lacks a claim."""
    try:
        kid = jwt.get_unverified_header(token)["kid"]
        claims = jwt.decode(token, signing_key().public_key(), algorithms=["RS256"])
    except (jwt.InvalidTokenError, KeyError):
        return None
    right = claim is None or claims.get(claim) is True
    return claims["sub"] if kid == claims["kid"] == KEY_ID and right else None


def _wrong_copy(body: dict[str, Any]) -> str | None:
    if unknown := body.keys() - COPY.keys():
        return f"unknown members {sorted(unknown)}"
    if wrong := [name for name, value in body.items() if not isinstance(value, COPY[name])]:
        return f"wrong types of {wrong}"
    if len(body.keys() & {"input", "url"}) != 1:
        return "neither input nor url, or both"
    if len(body.get("creator", "")) > MAX_CREATOR_CHARS:
        return "the creator is too long"
    return None


def _wrong_list(query: Mapping[str, str]) -> str | None:
    if unknown := query.keys() - LIST:
        return f"unknown parameters {sorted(unknown)}"
    if not 0 < int(query.get("limit", MAX_PAGE)) <= MAX_PAGE:
        return "a page of another size"
    if query.get("asc", "true") not in {"true", "false"}:
        return "asc is true or false"
    times = [query[name] for name in ("start", "end", "after", "before") if name in query]
    return None if all(datetime.fromisoformat(time).tzinfo for time in times) else "a local time"


def _answer(
    status: int,
    result: Any,
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    body = {"result": result, "success": not errors, "errors": errors or [], "messages": []}
    given = {"CF-Ray": f"{secrets.token_hex(8)}-FRA", **(headers or {})}
    return document(status, body, given)
