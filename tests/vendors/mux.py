"""A fake of Mux Video: assets, their list, their streams, and its signed events.

Habits:
    silent: no event is sent.
    fmp4: the segments are fMP4 and not MPEG-TS.
"""

import base64
import hashlib
import hmac
import json
import secrets
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, Response, request

from pipeline.domain.values import Phase, Profile
from pipeline.net.signatures import Rejection
from pipeline.providers.base import echoed_id
from tests.vendors import contract
from tests.vendors.fake import (
    FakeCallback,
    FakeJob,
    FakeVendor,
    Forgery,
    document,
    file_of,
    readdressed,
)
from tests.vendors.outputs import with_captions

TOKEN_ID, TOKEN_SECRET = "mux-token-id", "mux-token-secret"
KEY_ID = "mux-signing-key"
EVENTS = {
    Phase.WAITING: ("video.asset.created",),
    Phase.PLAYABLE: ("video.asset.ready",),
    Phase.COMPLETED: ("video.asset.ready", "video.asset.static_rendition.ready"),
    Phase.FAILED: ("video.asset.errored",),
    Phase.CANCELLED: ("video.asset.deleted",),
}


@cache
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signing_key_text() -> str:
    pem = signing_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return base64.b64encode(pem).decode()


class FakeMux(FakeVendor):
    adapter = "mux"
    calls = frozenset({"submit", "list", "get", "delete"})
    secret = "mux-webhook-secret-0001"
    duration_sec = 2.0  # of the clip of the conformance suite

    def route(self, app: Flask) -> None:
        assets = "/video/v1/assets"
        app.add_url_rule(assets, "submit", self._submit, methods=["POST"])
        app.add_url_rule(assets, "list", self._list, methods=["GET"])
        app.add_url_rule(f"{assets}/<asset_id>", "get", self._get, methods=["GET"])
        app.add_url_rule(f"{assets}/<asset_id>", "delete", self._delete, methods=["DELETE"])
        app.add_url_rule("/<playback_id>.m3u8", "master", self._master)
        app.add_url_rule("/<playback_id>/<name>", "file", self._file)
        app.add_url_rule("/rendition/<name>", "rendition", self._rendition)
        app.add_url_rule("/chunk/<name>", "chunk", self._chunk)

    def violation(self) -> str | None:
        return contract.violation("mux")

    def authorised(self) -> bool:
        given = request.authorization
        return given is not None and (given.username, given.password) == (TOKEN_ID, TOKEN_SECRET)

    def refusal(self, status: int, retry_after: str | None) -> Response:
        headers = {"Retry-After": retry_after} if retry_after else {}
        kinds = {400: "invalid_parameters", 401: "unauthorized", 404: "not_found"}
        error = {"type": kinds.get(status, "scripted"), "messages": [f"scripted {status}"]}
        return _answer(status, {"error": error}, headers)

    def environment(self, account: str) -> dict[str, str]:
        prefix = f"KHRONIKA_{account.upper()}_"
        return {
            f"{prefix}API_URL": self.url,
            f"{prefix}STREAM_URL": self.url,
            f"{prefix}IMAGE_URL": self.url,
            f"{prefix}TOKEN_ID": TOKEN_ID,
            f"{prefix}TOKEN_SECRET": TOKEN_SECRET,
            f"{prefix}SIGNING_KEY_ID": KEY_ID,
            f"{prefix}SIGNING_PRIVATE_KEY": signing_key_text(),
            f"{prefix}WEBHOOK_SECRETS": self.secret,
            f"{prefix}OUTPUT_HOSTS": "127.0.0.1",
        }

    def move(self, job_id: str, phase: Phase) -> None:
        job = self.jobs[job_id]
        job.phase = phase
        job.cancelled = job.cancelled or phase is Phase.CANCELLED
        job.facts |= _STATES.get(phase, {})
        if phase is Phase.COMPLETED:
            self.end_mp4(job_id, "ready")

    def end_mp4(self, job_id: str, status: str) -> None:
        """End the static rendition of an asset that is ready."""
        self.jobs[job_id].facts["mp4"] = status

    def callbacks_for(self, job_id: str, phase: Phase) -> list[FakeCallback]:
        names = () if "silent" in self.habits else EVENTS.get(phase, ())
        return [self._signed(self.event(job_id, name)) for name in names]

    def event(self, job_id: str, name: str) -> dict[str, Any]:
        """An event of a job as Mux would send it now."""
        job = self.jobs[job_id]
        is_rendition = ".static_rendition." in name
        return {
            "type": name,
            "id": str(uuid5(NAMESPACE_URL, f"{job_id}/{name}")),
            "created_at": job.created_at.isoformat(),
            "object": {"type": "asset", "id": job_id},
            "environment": {"name": "Development", "id": "fake01"},
            "data": {**self._mp4(job), "asset_id": job_id} if is_rendition else self._asset(job),
            "attempts": [],
            "request_id": None,
            "accessor": None,
            "accessor_source": None,
        }

    def redelivered(self, callback: FakeCallback) -> FakeCallback:
        event = json.loads(callback.body)
        attempt = {"webhook_id": 1, "response_status_code": 500, "created_at": str(self.now())}
        return self._signed({**event, "attempts": [*event["attempts"], attempt]})

    def forged(self, callback: FakeCallback) -> list[Forgery]:
        altered = callback.body.replace(b'"type"', b'"typo"', 1)
        unsigned = {k: v for k, v in callback.headers.items() if k != "mux-signature"}
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
        return self._take({"inputs": [{"url": "https://elsewhere.example/a.mp4"}]})

    def cap_of(self, job_id: str) -> Profile | None:
        tier = self.jobs[job_id].spec.get("max_resolution_tier")
        return Profile(tier) if tier else None

    def _signed(self, event: dict[str, Any]) -> FakeCallback:
        return self._sign(json.dumps(event).encode(), self.secret)

    def _sign(self, body: bytes, secret: str, age_sec: int = 0) -> FakeCallback:
        stamp = int(self.now().timestamp()) - age_sec
        digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hex()
        headers = {"content-type": "application/json", "mux-signature": f"t={stamp},v1={digest}"}
        return FakeCallback(headers, body)

    def _take(self, spec: dict[str, Any]) -> FakeJob:
        attempt_id = echoed_id(spec.get("passthrough"))
        job = FakeJob(secrets.token_hex(20), attempt_id, self.now(), spec)
        policies = spec.get("playback_policies", ["public"])
        job.facts = {"playback_id": secrets.token_hex(20), "policy": policies[0]}
        self.jobs[job.job_id] = job
        self.move(job.job_id, Phase.WAITING)
        return job

    def _submit(self) -> Response:
        job = self._take(request.get_json())
        return _answer(201, {"data": self._asset(job)})

    def _list(self) -> Response:
        limit = request.args.get("limit", 10, int)
        start = request.args.get("cursor", 0, int)
        found = sorted(self.billed, key=lambda job: job.created_at, reverse=True)
        cursor = str(start + limit) if start + limit < len(found) else None
        page = [self._asset(job) for job in found[start : start + limit]]
        return _answer(200, {"data": page, "next_cursor": cursor})

    def _get(self, asset_id: str) -> Response:
        job = self.live(asset_id)
        return _answer(200, {"data": self._asset(job)}) if job else self._unknown(asset_id)

    def _delete(self, asset_id: str) -> Response:
        if self.live(asset_id) is None:
            return self._unknown(asset_id)
        self.move(asset_id, Phase.CANCELLED)
        return Response(status=204)

    def _unknown(self, asset_id: str) -> Response:
        """400 for an id that never was one, as recorded; 404 for one that was."""
        return self.refusal(404 if asset_id in self.jobs else 400, None)

    def _asset(self, job: FakeJob) -> dict[str, Any]:
        facts = job.facts
        asset: dict[str, Any] = {
            "id": job.job_id,
            "status": facts["status"],
            "created_at": str(int(job.created_at.timestamp())),
            "playback_ids": [{"id": facts["playback_id"], "policy": facts["policy"]}],
            "static_renditions": {"files": [self._mp4(job)]},
            **{name: facts[name] for name in ("progress", "errors") if name in facts},
            **{name: job.spec[name] for name in ("passthrough", "meta") if name in job.spec},
        }
        if facts["status"] == "ready":
            track = {"type": "video", "max_width": 320, "max_height": 180}
            asset |= {"duration": self.duration_sec, "tracks": [{"type": "audio"}, track]}
        return asset

    def _mp4(self, job: FakeJob) -> dict[str, Any]:
        wanted = (job.spec.get("static_renditions") or [{}])[0]
        status = job.facts.get("mp4", "preparing")
        made = {"width": 320, "height": 180, "filesize": "1000"} if status == "ready" else {}
        named = {"id": f"r{job.job_id}", "name": "highest.mp4", "ext": "mp4", "status": status}
        return {**wanted, **named, **made}

    def _master(self, playback_id: str) -> Response:
        job = self._playable(playback_id, "v")
        if isinstance(job, Response):
            return job
        address = f"{self.media_url}/rendition/"
        return readdressed(self._hls("master.m3u8"), lambda uri: address + uri)

    def _rendition(self, name: str) -> Response:
        address = f"{self.url}/chunk/"
        return readdressed(self._hls(name), lambda uri: address + uri)

    def _chunk(self, name: str) -> Response:
        return file_of(self._hls_folder() / name)

    def _file(self, playback_id: str, name: str) -> Response:
        kinds = {"thumbnail.jpg": "t", "storyboard.vtt": "s", "storyboard.jpg": "s"}
        job = self._playable(playback_id, kinds.get(name, "v"))
        if isinstance(job, Response):
            return job
        if name == "storyboard.vtt":
            return Response(self._storyboard(playback_id), mimetype="text/vtt")
        if name.endswith(".mp4") and job.facts.get("mp4") != "ready":
            return Response(status=404)
        files = {"highest.mp4": "video.mp4", "thumbnail.jpg": "poster.jpg"}
        assert self.outputs is not None
        return file_of(self.outputs / files.get(name, name))

    def _storyboard(self, playback_id: str) -> str:
        query = request.query_string.decode()
        sheet = f"{self.url}/{playback_id}/storyboard.jpg?{query}".rstrip("?")
        half = self.duration_sec / 2
        times = ((0.0, half), (half, self.duration_sec))
        cues = [
            f"00:00:{start:06.3f} --> 00:00:{end:06.3f}\n{sheet}#xywh={at * 80},0,80,44\n"
            for at, (start, end) in enumerate(times)
        ]
        return "\n".join(["WEBVTT\n", *cues])

    def _playable(self, playback_id: str, audience: str) -> FakeJob | Response:
        """The asset of a playback id, or the refusal of a viewer without the right to it."""
        found = [job for job in self.billed if job.facts["playback_id"] == playback_id]
        if not found or found[0].facts["status"] != "ready" or self.outputs is None:
            return Response(status=404)
        if found[0].facts["policy"] == "public":
            return found[0]
        if request.args.keys() != {"token"}:
            return Response(status=403)  # of a signed address, Mux reads the token alone
        try:
            claims = jwt.decode(
                request.args["token"],
                signing_key().public_key(),
                algorithms=["RS256"],
                audience=audience,
            )
        except jwt.InvalidTokenError:
            return Response(status=403)
        return found[0] if claims["sub"] == playback_id else Response(status=403)

    def _hls(self, name: str) -> str:
        text = (self._hls_folder() / name).read_text()
        offers = name == "master.m3u8" and "captions" in self.habits
        return with_captions(text) if offers else text

    def _hls_folder(self) -> Path:
        assert self.outputs is not None
        return self.outputs / ("fmp4" if "fmp4" in self.habits else "ts")


_STATES: dict[Phase, dict[str, Any]] = {
    Phase.WAITING: {"status": "preparing"},
    Phase.RUNNING: {
        "status": "preparing",
        "progress": {"state": "transcoding", "progress": 39},
    },
    Phase.PLAYABLE: {"status": "ready", "progress": {"state": "completed", "progress": 100}},
    Phase.COMPLETED: {"status": "ready", "progress": {"state": "completed", "progress": 100}},
    Phase.FAILED: {
        "status": "errored",
        "progress": {"state": "errored", "progress": 39},
        "errors": {"type": "invalid_input", "messages": ["The input is damaged"]},
    },
}


def _answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    given = {"X-Request-Id": f"mux-{secrets.token_hex(8)}", **(headers or {})}
    return document(status, body, given)
