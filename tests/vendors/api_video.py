"""A fake of api.video: videos, their status by quality, their files, and an event a quality.

Habits:
    silent: no event is sent.
    fmp4: the segments are fMP4 and not MPEG-TS.
    untyped: the qualities of a status have no type, as in the example that is published.
    refuses_poster: every time of a poster is refused.
"""

import hashlib
import hmac
import json
import secrets
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

from pipeline.domain.values import Phase
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

API_KEY = "api-video-key"
QUALITIES = (("hls", "240p"), ("hls", "360p"), ("mp4", "360p"))
SIGNATURE = "x-api-video-signature"


class FakeApiVideo(FakeVendor):
    adapter = "api_video"
    signs_time = False
    calls = frozenset({"submit", "list", "get", "status", "poster", "delete"})
    secret = "sig_sec_0000000000000000000000"

    def route(self, app: Flask) -> None:
        video = "/videos/<video_id>"
        app.add_url_rule("/videos", "submit", self._submit, methods=["POST"])
        app.add_url_rule("/videos", "list", self._list, methods=["GET"])
        app.add_url_rule(video, "get", self._get, methods=["GET"])
        app.add_url_rule(video, "delete", self._delete, methods=["DELETE"])
        app.add_url_rule(f"{video}/status", "status", self._status, methods=["GET"])
        app.add_url_rule(f"{video}/thumbnail", "poster", self._poster, methods=["PATCH"])
        app.add_url_rule("/vod/<video_id>/<path:name>", "file", self._file)

    def violation(self) -> str | None:
        return contract.violation("api_video")

    def authorised(self) -> bool:
        given = request.authorization
        return given is not None and (given.username, given.password) == (API_KEY, "")

    def refusal(self, status: int, retry_after: str | None) -> Response:
        problem = {"type": "https://docs.api.video/reference/scripted", "status": status}
        return _answer(status, {**problem, "title": f"Scripted {status}."}, retry_after)

    def environment(self, account: str) -> dict[str, str]:
        prefix = f"KHRONIKA_{account.upper()}_"
        return {
            f"{prefix}API_URL": self.url,
            f"{prefix}API_KEY": API_KEY,
            f"{prefix}WEBHOOK_SECRETS": self.secret,
            f"{prefix}OUTPUT_HOSTS": "127.0.0.1",
        }

    def move(self, job_id: str, phase: Phase) -> None:
        job = self.jobs[job_id]
        job.phase = phase
        job.cancelled = job.cancelled or phase is Phase.CANCELLED
        job.facts |= _STATES.get(phase, {})

    def end(self, job_id: str, *ends: str, playable: bool) -> None:
        """Give each quality its own end, in the order of ``QUALITIES``."""
        self.jobs[job_id].facts |= {"ingest": "ingested", "ends": ends, "playable": playable}

    def callbacks_for(self, job_id: str, phase: Phase) -> list[FakeCallback]:
        if "silent" in self.habits or phase not in {Phase.PLAYABLE, Phase.COMPLETED}:
            return []
        ends = _STATES[phase]["ends"]
        return [
            self._signed(
                {
                    "type": "video.encoding.quality.completed",
                    "emittedAt": self.now().isoformat(),
                    "videoId": job_id,
                    "liveStreamId": None,
                    "encoding": encoding,
                    "quality": quality,
                }
            )
            for (encoding, quality), end in zip(QUALITIES, ends, strict=True)
            if end == "encoded"
        ]

    def redelivered(self, callback: FakeCallback) -> FakeCallback:
        event = json.loads(callback.body)
        return self._signed({**event, "emittedAt": "2021-01-29T15:46:28.217Z"})

    def forged(self, callback: FakeCallback) -> list[Forgery]:
        altered = callback.body.replace(b"240p", b"720p", 1)
        unsigned = {k: v for k, v in callback.headers.items() if k != SIGNATURE}
        return [
            Forgery(self.signed_by(callback, "another secret"), Rejection.BAD_SIGNATURE),
            Forgery(callback._replace(body=altered), Rejection.BAD_SIGNATURE),
            Forgery(callback._replace(headers=unsigned), Rejection.MISSING_HEADER),
        ]

    def signed_by(self, callback: FakeCallback, secret: str) -> FakeCallback:
        digest = hmac.digest(secret.encode(), callback.body, hashlib.sha256).hex()
        return callback._replace(headers={**callback.headers, SIGNATURE: digest})

    def orphan(self) -> FakeJob:
        return self._take({"title": "Made by hand", "source": "https://elsewhere.example/a.mp4"})

    def _signed(self, event: dict[str, Any]) -> FakeCallback:
        headers = {"content-type": "application/json", "x-api-video-webhookid": "webhook_0001"}
        return self.signed_by(FakeCallback(headers, json.dumps(event).encode()), self.secret)

    def _take(self, spec: dict[str, Any]) -> FakeJob:
        ours = {pair["key"]: pair["value"] for pair in spec.get("metadata", [])}
        attempt_id = echoed_id(ours.get("external_id"))
        job = FakeJob(f"vi{secrets.token_hex(11)}", attempt_id, self.now(), spec)
        self.jobs[job.job_id] = job
        self.move(job.job_id, Phase.WAITING)
        return job

    def _submit(self) -> Response:
        return _answer(201, self._video(self._take(request.get_json())))

    def _list(self) -> Response:
        wanted = {
            name.removeprefix("metadata[").removesuffix("]"): value
            for name, value in request.args.items()
            if name.startswith("metadata[")
        }
        number = request.args.get("currentPage", 1, int)
        size = request.args.get("pageSize", 25, int)
        found = sorted(self.billed, key=lambda job: job.created_at, reverse=True)
        found = [job for job in found if wanted.items() <= _metadata(job).items()]
        page = found[(number - 1) * size : number * size]
        pagination = {
            "currentPage": number,
            "pageSize": size,
            "pagesTotal": max(1, -(-len(found) // size)),
            "itemsTotal": len(found),
            "links": [],
        }
        return _answer(200, {"data": [self._video(job) for job in page], "pagination": pagination})

    def _get(self, video_id: str) -> Response:
        job = self.live(video_id)
        return _answer(200, self._video(job)) if job else self.refusal(404, None)

    def _delete(self, video_id: str) -> Response:
        if self.live(video_id) is None:
            return self.refusal(404, None)
        self.move(video_id, Phase.CANCELLED)
        return Response(status=204)

    def _status(self, video_id: str) -> Response:
        job = self.live(video_id)
        if job is None:
            return self.refusal(404, None)
        facts = job.facts
        qualities = [
            {"quality": quality, "status": end}
            | ({} if "untyped" in self.habits else {"type": encoding})
            for (encoding, quality), end in zip(QUALITIES, facts["ends"], strict=False)
        ]
        measured = {"width": 320, "height": 180, "duration": 5}
        encoding = {"playable": facts["playable"], "qualities": qualities, "metadata": measured}
        return _answer(200, {"ingest": {"status": facts["ingest"]}, "encoding": encoding})

    def _poster(self, video_id: str) -> Response:
        job = self.live(video_id)
        if job is None:
            return self.refusal(404, None)
        if not job.facts["playable"] or "refuses_poster" in self.habits:
            return self.refusal(400, None)
        job.facts["timecode"] = request.get_json()["timecode"]
        return _answer(200, self._video(job))

    def _video(self, job: FakeJob) -> dict[str, Any]:
        files = f"{self.media_url}/vod/{job.job_id}"
        return {
            "videoId": job.job_id,
            "title": job.spec["title"],
            "public": job.spec.get("public", True),
            "createdAt": job.created_at.isoformat(),
            "publishedAt": job.created_at.isoformat(),
            "metadata": job.spec.get("metadata", []),
            "source": {"uri": f"/videos/{job.job_id}/source"},
            "assets": {
                "player": f"{files}/player",
                "hls": f"{files}/hls/manifest.m3u8",
                "thumbnail": f"{files}/thumbnail.jpg",
                "mp4": f"{files}/mp4/source.mp4",
            },
        }

    def _file(self, video_id: str, name: str) -> Response:
        job = self.live(video_id)
        if job is None or not job.facts["playable"] or self.outputs is None:
            return Response(status=404)
        kind = "fmp4" if "fmp4" in self.habits else "ts"
        fixed = {
            "hls/manifest.m3u8": f"{kind}/master.m3u8",
            "thumbnail.jpg": "poster.jpg",
            "mp4/source.mp4": "video.mp4",
        }
        place = fixed.get(name) or f"{kind}/{Path(name).name}"
        if name == "hls/manifest.m3u8" and "captions" in self.habits:
            return readdressed(with_captions((self.outputs / place).read_text()), lambda uri: uri)
        is_late = name.startswith("mp4/") and job.facts["ends"][-1] != "encoded"
        return Response(status=404) if is_late else file_of(self.outputs / place)


_STATES: dict[Phase, dict[str, Any]] = {
    Phase.WAITING: {"ingest": "ingesting", "ends": (), "playable": False},
    Phase.RUNNING: {
        "ingest": "ingested",
        "ends": ("encoding", "waiting", "waiting"),
        "playable": False,
    },
    Phase.PLAYABLE: {
        "ingest": "ingested",
        "ends": ("encoded", "encoding", "waiting"),
        "playable": True,
    },
    Phase.COMPLETED: {"ingest": "ingested", "ends": ("encoded",) * 3, "playable": True},
    Phase.FAILED: {"ingest": "ingested", "ends": ("failed",) * 3, "playable": False},
}


def _metadata(job: FakeJob) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in job.spec.get("metadata", [])}


def _answer(status: int, body: Any, retry_after: str | None = None) -> Response:
    """Every answer says when its window ends; a refusal without it is scripted."""
    window = retry_after if status == 429 else "60"
    limits = {"X-RateLimit-Limit": "500", "X-RateLimit-Remaining": "499"}
    given = {"X-RateLimit-Retry-After": window} if window else {}
    return document(status, body, {**limits, **given})
