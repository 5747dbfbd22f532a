"""The course of an accepted job: how it runs, ends, and what is said about it meanwhile."""

from typing import Any

from tests.chaos.provider.courier import Courier, Timetable
from tests.chaos.provider.ledger import Job, Ledger

DURATION_SEC = 2.0
"""Of the one set of outputs there is; the source lasts as long."""


class Courses:
    """Sets accepted jobs going."""

    def __init__(self, ledger: Ledger, timetable: Timetable, courier: Courier, url: str) -> None:
        self._ledger = ledger
        self._timetable = timetable
        self._courier = courier
        self._url = url

    def begin(self, job: Job) -> None:
        """Plan everything that will happen to a job that has just been accepted."""
        script = job.script
        with self._ledger.open() as books:
            books.faults.update(script.faults())
        self._timetable.after(script.work_sec, lambda: self._end(job))
        if script.manner == "forged":
            self._timetable.after(script.work_sec * 0.2, lambda: self._forge(job))
        if script.manner not in {"none", "reordered"}:
            self._timetable.after(script.work_sec * 0.4, lambda: self._tell_progress(job))

    def _end(self, job: Job) -> None:
        status = "failed" if job.script.fate.startswith("fails") else "completed"
        if not self._ledger.finish(job, status):
            return
        manner = job.script.manner
        if manner == "none":
            return
        if manner == "stale-signed":
            self._courier.send(job, self.view(job), "stale", "stale")
        delay_sec = job.script.late_sec if manner == "late" else 0.0
        self._timetable.after(delay_sec, lambda: self._tell_end(job))

    def _tell_end(self, job: Job) -> None:
        manner = job.script.manner
        event = "thrice" if manner == "duplicate" else "end"
        sent = self._courier.send(job, self.view(job), event)
        if manner == "reordered":
            self._courier.send(job, self._shown_as(job, "running"), "progress")
        if manner == "conflicting":
            contrary = "failed" if job.status == "completed" else "completed"
            self._courier.repeat(job, sent, self._shown_as(job, contrary))

    def _tell_progress(self, job: Job) -> None:
        if not job.is_over():
            self._courier.send(job, self.view(job), "progress")

    def _forge(self, job: Job) -> None:
        self._courier.send(job, self._shown_as(job, "completed"), "forged", "forged")

    def view(self, job: Job) -> dict[str, Any]:
        """The job as the provider shows it now."""
        return self._shown_as(job, job.status)

    def _shown_as(self, job: Job, status: str) -> dict[str, Any]:
        result = self._result(job) if status == "completed" else None
        error = _error(job) if status == "failed" else None
        progress = 100 if status == "completed" else 40
        shown = {"id": job.id, "status": status, "progress": progress}
        return {**shown, "result": result, "error": error}

    def _result(self, job: Job) -> dict[str, Any]:
        black = "black" in job.script.fate
        return {
            "manifest": f"{self._url}/out/master.m3u8",
            "fallback": f"{self._url}/out/video.mp4",
            "poster": f"{self._url}/out/{'black' if black else 'poster'}.jpg",
            "thumbnail": f"{self._url}/out/poster.jpg",
            "duration_sec": DURATION_SEC,
            "width": 160,
            "height": 90,
            "bytes": 1,
            "renditions": [{"profile": "240p"}],
        }


def _error(job: Job) -> dict[str, Any]:
    retryable = "retryable" in job.script.fate
    code = "encoder_failed" if retryable else "encode_failed"
    return {"code": code, "message": f"scripted: {job.script.fate}", "retryable": retryable}
