"""The provider's front door: the transcoder's HTTP contract, kept or broken as scripted."""

import mimetypes
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Flask, Response, request

from tests.chaos.provider.courses import Courses
from tests.chaos.provider.ledger import Job, Ledger
from tests.chaos.provider.script import (
    CALM,
    LIAR,
    SLOW,
    Script,
    liars_script,
    question_answer,
    repeat_answer,
    script_of,
)

ORDINARY = "selfhosted"
SLOWER_SEC = 3.0
"""Time that the slow account's jobs take longer."""
TOO_LATE_SEC = 2.6
"""Longer than the caller waits (2 s)."""


class FrontDoor:
    """Answers requests, from the script or, once calm, as documented."""

    def __init__(self, ledger: Ledger, courses: Courses, seed: int, overdue_sec: float) -> None:
        self._ledger = ledger
        self._courses = courses
        self._seed = seed
        self._overdue_sec = overdue_sec

    def put(self, job_id: str, body: bytes, account: str) -> Any:
        """Take a job, or not."""
        script, known = self._script_for(job_id, account)
        answer = known or script.answer
        self._count(f"PUT: {answer}", answer != "accept")
        if answer[:3].isdigit() and "after" not in answer:
            return _trouble(int(answer[:3]))
        if answer == "slow, then accept":
            with self._held():
                time.sleep(script.hold_sec)
        job, is_new = self._accept(job_id, script, body, account)
        if job.body_sha256 != sha256(body).hexdigest():
            return _trouble(409)
        return self._reply(job, is_new, script, answer)

    def _script_for(self, job_id: str, account: str) -> tuple[Script, str | None]:
        """The script, and for a job we have already the answer to its repetition."""
        with self._ledger.open() as books:
            known = books.jobs.get(job_id)
            if known is None:
                books.puts += 1
                books.puts_of[account] += 1
                script = self._new_script(account, books.puts, books.puts_of[account])
                if books.hold_next:
                    books.hold_next = False
                    script = replace(script, answer="accept, then slow")
                return (CALM if books.calm else script), None
            books.repeats += 1
            answer = repeat_answer(self._seed, books.repeats)
            return known.script, "accept" if books.calm else answer

    def _new_script(self, account: str, number: int, of_account: int) -> Script:
        if account == LIAR:
            return liars_script(of_account, self._overdue_sec)
        script = script_of(self._seed, number, self._overdue_sec)
        return replace(script, work_sec=script.work_sec + SLOWER_SEC) if account == SLOW else script

    def _accept(self, job_id: str, script: Script, body: bytes, account: str) -> tuple[Job, bool]:
        with self._ledger.open() as books:
            is_new = job_id not in books.jobs
            job = books.accept(job_id, script, body, account)
        if is_new:
            self._courses.begin(job)
        return job, is_new

    def _reply(self, job: Job, is_new: bool, script: Script, answer: str) -> Any:
        if answer == "accept, drop the reply":
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        elif answer == "500 after acceptance":
            return _trouble(500)
        elif answer == "accept, then slow":
            with self._held():
                time.sleep(script.hold_sec)
        elif answer == "accept, answer too late":
            time.sleep(TOO_LATE_SEC)
        headers = {"X-Request-Id": f"req-{job.id[:8]}"}
        return self._courses.view(job), 201 if is_new else 200, headers

    def get(self, job_id: str, account: str) -> Any:
        """Show a job."""
        if trouble := self._question("GET"):
            return trouble
        job = self._job_of(account, job_id)
        return self._courses.view(job) if job else _trouble(404)

    def delete(self, job_id: str, account: str) -> Any:
        """Give a job up."""
        if trouble := self._question("DELETE"):
            return trouble
        job = self._job_of(account, job_id)
        if job is None:
            return _trouble(404)
        was_live = self._ledger.delete(job)
        return self._courses.view(job), 202 if was_live else 200

    def _job_of(self, account: str, job_id: str) -> Job | None:
        job = self._ledger.jobs.get(job_id)
        return job if job is not None and job.account == account else None

    def _question(self, method: str) -> Any:
        with self._ledger.open() as books:
            books.questions += 1
            answer = "answer" if books.calm else question_answer(self._seed, books.questions)
        self._count(f"{method}: {answer}", answer != "answer")
        return _trouble(int(answer)) if answer.isdigit() else None

    def _count(self, fault: str, is_fault: bool) -> None:
        if is_fault:
            with self._ledger.open() as books:
                books.faults[fault] += 1

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Let the runner see whose call is being held: that process can be caught in the middle."""
        port = int(request.environ["REMOTE_PORT"])
        with self._ledger.open() as books:
            books.holding.add(port)
        try:
            yield
        finally:
            with self._ledger.open() as books:
                books.holding.discard(port)


def make_app(door: FrontDoor, ledger: Ledger, folder: Path) -> Flask:
    """The provider as a WSGI application; the routes below ``/books`` are the runner's."""
    app = Flask("chaos-provider")

    @app.put("/v1/jobs/<uuid:job_id>", defaults={"account": ORDINARY})
    @app.put("/<account>/v1/jobs/<uuid:job_id>")
    def put(account: str, job_id: UUID) -> Any:
        return door.put(str(job_id), request.get_data(), account)

    @app.get("/v1/jobs/<uuid:job_id>", defaults={"account": ORDINARY})
    @app.get("/<account>/v1/jobs/<uuid:job_id>")
    def get(account: str, job_id: UUID) -> Any:
        return door.get(str(job_id), account)

    @app.delete("/v1/jobs/<uuid:job_id>", defaults={"account": ORDINARY})
    @app.delete("/<account>/v1/jobs/<uuid:job_id>")
    def delete(account: str, job_id: UUID) -> Any:
        return door.delete(str(job_id), account)

    @app.get("/out/<name>")
    def out(name: str) -> Response:
        return _file(folder / name)

    _add_books(app, ledger)
    return app


def _add_books(app: Flask, ledger: Ledger) -> None:
    @app.get("/books")
    def books() -> Any:
        return ledger.dump()

    @app.get("/books/holding")
    def holding() -> Any:
        with ledger.open() as books:
            return sorted(books.holding)

    @app.post("/books/hold")
    def hold() -> Any:
        ledger.hold_next = True
        return {}

    @app.post("/books/calm")
    def calm() -> Any:
        ledger.calm = True
        return {}


def _trouble(status: int) -> Any:
    error = {"code": "provider_failed", "message": f"scripted {status}", "retryable": False}
    return {"error": error}, status, {"Retry-After": "1"}


def _file(path: Path) -> Response:
    """Read whole: werkzeug leaves the file of a ranged answer open."""
    if not path.is_file():
        return Response(status=404)
    body = path.read_bytes()
    answer = Response(body, mimetype=mimetypes.guess_type(path.name)[0])
    answer.set_etag(sha256(body).hexdigest()[:16])
    answer.make_conditional(request, accept_ranges=True, complete_length=len(body))
    return answer
