"""Sends the provider's callbacks, well or badly, when their time has come."""

import heapq
import itertools
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import requests
from standardwebhooks import Webhook

from tests.chaos.provider.ledger import Job, Ledger, Sent

WRONG_SECRET = "whsec_bm90LXRoZS1zZWNyZXQtb2YtYW55Ym9keS1hdC1hbGw="
STALE = timedelta(minutes=20)
"""Far past the tolerance, and past any clock that is ten minutes off."""
TIMEOUT_SEC = 3.0
RETRY_SEC = 1.0
SENDERS = 8

Action = Callable[[], None]


class Timetable:
    """Runs actions when they are due, a few at a time."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(SENDERS, "courier")
        threading.Thread(target=self._run, daemon=True, name="timetable").start()

    def after(self, delay_sec: float, action: Action) -> None:
        """Run the action so many seconds from now."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay_sec, next(self._numbers), action))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    wait = self._due[0][0] - time.monotonic() if self._due else None
                    self._changed.wait(wait)
                _, _, action = heapq.heappop(self._due)
            self._pool.submit(action)


class Courier:
    """Carries the callbacks of every account to its address.

    Args:
        target: Address before the account's name.
    """

    def __init__(self, ledger: Ledger, timetable: Timetable, target: str, secret: str) -> None:
        self._ledger = ledger
        self._timetable = timetable
        self._target = target
        self._secret = secret

    def send(self, job: Job, view: dict[str, Any], event: str, manner: str = "genuine") -> Sent:
        """Send a callback now, and again until it is taken.

        Args:
            view: The job as the callback shows it.
            event: Distinguishes the job's events: the id is made of it.
            manner: See ``Sent``.
        """
        type_ = f"job.{view['status'] if view['status'] != 'running' else 'progress'}"
        body = json.dumps(
            {"type": type_, "timestamp": datetime.now(UTC).isoformat(), "data": {"job": view}}
        )
        digest = sha256(body.encode()).hexdigest()
        sent = Sent(f"msg_{job.id}_{event}", job.id, type_, manner, digest)
        with self._ledger.open() as books:
            books.sent.append(sent)
        self._post(sent, body, job.account)
        return sent

    def repeat(self, job: Job, sent: Sent, view: dict[str, Any]) -> None:
        """Send another body under an id that has been taken; wait until it has."""
        if not sent.is_taken():
            self._timetable.after(RETRY_SEC, lambda: self.repeat(job, sent, view))
            return
        self.send(job, view, sent.event_id.rpartition("_")[2], "conflicting")

    def _post(self, sent: Sent, body: str, account: str, again: int = 0) -> None:
        signed_at = datetime.now(UTC) - (STALE if sent.manner == "stale" else timedelta())
        secret = WRONG_SECRET if sent.manner == "forged" else self._secret
        headers = {
            "Content-Type": "application/json",
            "webhook-id": sent.event_id,
            "webhook-timestamp": str(int(signed_at.timestamp())),
            "webhook-signature": Webhook(secret).sign(sent.event_id, signed_at, body),
        }
        status, result = _answer_of(f"{self._target}/{account}", headers, body)
        with self._ledger.open():
            sent.answers.append(status)
            sent.results.append(result)
        if status is None or status >= 500:
            delay_sec = min(5.0, RETRY_SEC * (again + 1))
            self._timetable.after(delay_sec, lambda: self._post(sent, body, account, again + 1))
        elif sent.manner == "genuine" and again == 0 and sent.event_id.endswith("_thrice"):
            for delay_sec in (0.3, 1.5):
                self._timetable.after(delay_sec, lambda: self._post(sent, body, account, 1))


def _answer_of(target: str, headers: dict[str, str], body: str) -> tuple[int | None, str | None]:
    try:
        answer = requests.post(target, headers=headers, data=body.encode(), timeout=TIMEOUT_SEC)
    except requests.RequestException:
        return None, None
    try:
        document = answer.json()
    except ValueError:
        return answer.status_code, None
    return answer.status_code, document.get("result") or document.get("code")
