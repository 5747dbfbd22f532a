"""Seven callbacks that must not count, by what is wrong with them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from pipeline.records.models import AuditEvent, Delivery, Event
from tests.acceptance.exchanges import Exchange
from tests.acceptance.stage import LOOK_EVERY_SEC, PATIENCE_SEC, Stage, TookTooLong, Video
from tests.acceptance.telling import Telling
from tests.scripted_provider import callback

OTHER_SECRET = "whsec_bm90LXRoZS1zZWNyZXQtb2YtdGhpcy1wcm92aWRlcg=="
STALE = timedelta(minutes=10)
"""Twice what the API tolerates."""


@dataclass(frozen=True)
class Attack:
    """One callback that must not count, what it got and what it left behind."""

    what: str
    got: Exchange
    audits: Sequence[AuditEvent] = ()
    events: Sequence[Event] = ()
    deliveries: Sequence[Delivery] = ()

    @property
    def verdict(self) -> str:
        """The answer's own word for it."""
        return str(self.got.answer.get("result") or self.got.answer["code"])

    @property
    def trace(self) -> str:
        """Where it can be found again."""
        audits = [f"audit row {row.id}: {row.type}, {row.reason}" for row in self.audits]
        events = [f"event {row.seq}: {row.type}, {row.detail['reason']}" for row in self.events]
        return "; ".join([*audits, *events]) or "the first delivery's inbox row, unchanged"


@dataclass(frozen=True)
class Target:
    """A video in its second attempt, which the provider is still downloading.

    Attributes:
        secret: What the provider really signs with.
        failed: The genuine callback that ended the first attempt.
        harm: A job document that fails the second attempt for good, if anybody believes it.
    """

    stage: Stage
    video: Video
    secret: str
    failed: Exchange
    harm: dict[str, Any]

    def send(self, signed: tuple[Mapping[str, str], bytes]) -> Exchange:
        """Send the API a callback as an outsider would."""
        return self.stage.call_back(*signed)

    def rejected(self, what: str, headers: Mapping[str, str], body: bytes) -> Attack:
        """A callback that is turned away, and its audit row."""
        got = self.send((headers, body))
        return Attack(what, got, audits=self.stage.books.audits_of(got.request_id))


def forged(target: Target, telling: Telling) -> list[Attack]:
    """Turned away at the door: the caller does not hold the secret, or not now."""
    stale = datetime.now(UTC) - STALE
    unsigned, body = callback(target.harm, "job.failed", secret=target.secret)
    del unsigned["webhook-signature"]
    tries = {
        ("a bad signature", "bad_signature"): callback(
            target.harm, "job.failed", secret=OTHER_SECRET
        ),
        ("a missing header", "missing_header"): (unsigned, body),
        ("a stale timestamp and the right signature", "stale_timestamp"): callback(
            target.harm, "job.failed", secret=target.secret, signed_at=stale
        ),
    }
    attacks = []
    for (what, reason), signed in tries.items():
        attack = target.rejected(what, *signed)
        telling.claim(
            f"A callback with {what} is answered 401 and leaves one audit row, `{reason}`; the "
            "answer does not say which of the checks it failed.",
            attack.got.status == 401
            and [row.reason for row in attack.audits] == [reason]
            and reason not in attack.got.answer_body.decode(),
            (attack.got.status, attack.got.answer, [row.reason for row in attack.audits]),
        )
        event_id = signed[0]["webhook-id"]
        telling.claim(
            f"The callback with {what} is not in the inbox.",
            not target.stage.books.deliveries([event_id]),
        )
        attacks.append(attack)
    return attacks


def replayed(target: Target, telling: Telling) -> list[Attack]:
    """Rightly signed, under an event id that has been used."""
    stage, event_id = target.stage, target.failed.header("webhook-id") or ""
    before = stage.books.events(target.video.asset_id)
    again = Attack(
        "same id again, the genuine bytes and signature",
        target.send((_webhook_headers(target.failed), target.failed.body)),
    )
    telling.claim(
        "The genuine `job.failed` of attempt 1, sent once more byte for byte, is answered "
        "`200 duplicate`.",
        (again.got.status, again.verdict) == (200, "duplicate"),
        (again.got.status, again.verdict),
    )
    other = target.rejected(
        "same id, another body",
        *callback(target.harm, "job.failed", secret=target.secret, event_id=event_id),
    )
    telling.claim(
        "The same id with another body, rightly signed, is answered `200 callback_conflict` and "
        "leaves one audit row.",
        (other.got.status, other.verdict) == (200, "callback_conflict")
        and [row.type for row in other.audits] == ["callback_conflict"],
        (other.got.status, other.verdict),
    )
    rows = stage.books.deliveries([event_id])
    telling.claim(
        "Of that id the inbox still holds one row, the first, and neither left an event.",
        [row.body for row in rows] == [target.failed.body]
        and len(stage.books.events(target.video.asset_id)) == len(before),
    )
    return [again, other]


def strayed(target: Target, telling: Telling) -> list[Attack]:
    """Rightly signed and new, about a job that is not the current one."""
    unknown = _sent_and_settled(target, "unknown job", target.harm | {"id": str(uuid4())})
    telling.claim(
        "A callback for a job nobody knows is stored, kept for a while in case its submission is "
        "still on its way, and then ignored with an audit row, `unknown_job`.",
        (unknown.got.status, unknown.verdict) == (202, "stored")
        and [(row.status, row.reason) for row in unknown.deliveries] == [("ignored", "unknown_job")]
        and [row.reason for row in unknown.audits] == ["unknown_job"],
        [(row.status, row.reason) for row in unknown.deliveries],
    )
    old_job = target.failed.document["data"]["job"]
    old = _sent_and_settled(target, "old attempt", old_job)
    telling.claim(
        "A new callback for attempt 1 is stored and ignored, with an event in the asset's "
        "chronicle, `callback_ignored`, `old_attempt`.",
        (old.got.status, old.verdict) == (202, "stored")
        and [(row.status, row.reason) for row in old.deliveries] == [("ignored", "old_attempt")]
        and [(row.type, row.detail["reason"]) for row in old.events]
        == [("callback_ignored", "old_attempt")],
        [(row.status, row.reason) for row in old.deliveries],
    )
    return [unknown, old]


def _sent_and_settled(target: Target, what: str, job: Mapping[str, Any]) -> Attack:
    headers, body = callback(job, "job.failed", secret=target.secret)
    got, event_id = target.send((headers, body)), headers["webhook-id"]
    deadline = time.monotonic() + PATIENCE_SEC
    books = target.stage.books
    while (rows := books.deliveries([event_id]))[0].status == "new":
        if time.monotonic() > deadline:
            raise TookTooLong(f"the callback {event_id} ({what}) is still new")
        time.sleep(LOOK_EVERY_SEC)
    events = books.events(target.video.asset_id)
    return Attack(
        what,
        got,
        audits=books.audits_naming(event_id),
        events=[event for event in events if event.provider_event_id == event_id],
        deliveries=rows,
    )


def _webhook_headers(one: Exchange) -> dict[str, str]:
    return {
        name: value for name, value in one.headers.items() if name.lower().startswith("webhook")
    }
