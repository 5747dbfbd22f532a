"""Checks of callbacks by the sender's books: acknowledged ones are kept, forgeries get nowhere."""

from collections import Counter

from pipeline.domain.events import EventType
from tests.chaos.evidence import Evidence, SentEntry
from tests.laws.finding import Finding

EFFECTS = frozenset(
    {
        EventType.COMPLETED,
        EventType.LATE_SUCCESS,
        EventType.FAILED,
        EventType.RETRY_SCHEDULED,
        EventType.RETRY_EXHAUSTED,
    }
)
"""Events by which a callback that ended its job took effect."""


def acknowledged_are_stored(evidence: Evidence) -> Finding:
    """Require one row for each id that was answered 202, with the bytes that were answered so."""
    finding = Finding()
    rows = Counter(delivery.event_id for delivery in evidence.books.deliveries)
    digests = {delivery.event_id: delivery.body_sha256 for delivery in evidence.books.deliveries}
    for sent in evidence.sent:
        if 202 in sent.answers:
            asset_id = _asset_of(evidence, sent)
            once = rows[sent.event_id] == 1
            finding.require(once, asset_id, f"{sent.event_id} is {rows[sent.event_id]} rows")
            same = digests.get(sent.event_id) == sent.body_sha256
            finding.require(same, asset_id, f"{sent.event_id} is stored with another body")
    return finding


def applied_once(evidence: Evidence) -> Finding:
    """Require a chronicle that agrees with the inbox: one effect, or one ``callback_ignored``.

    Progress leaves no event when it is applied.
    """
    finding = Finding()
    effects = _count(evidence, EFFECTS)
    ignored = _count(evidence, frozenset({EventType.CALLBACK_IGNORED}))
    ends = {sent.event_id for sent in evidence.sent if sent.type != "job.progress"}
    for delivery in evidence.books.deliveries:
        if delivery.asset_id is None:
            continue
        found = (effects[delivery.event_id], ignored[delivery.event_id])
        is_end = delivery.event_id in ends
        wanted = {"applied": (int(is_end), 0), "ignored": (0, 1)}.get(delivery.status, (0, 0))
        what = f"{delivery.event_id} ({delivery.status}): effects and ignores are {found}"
        finding.require(found == wanted, delivery.asset_id, what)
    return finding


def repetitions_are_recognised(evidence: Evidence) -> Finding:
    """Require 200 after the 202 of an id: a duplicate, or a conflict when it differs.

    Our own failures (5xx, no answer) prove nothing either way.
    """
    finding = Finding()
    for sent in evidence.sent:
        if sent.manner not in {"genuine", "conflicting"}:
            continue
        given = [
            (answer, result)
            for answer, result in zip(sent.answers, sent.results, strict=True)
            if answer is not None and answer < 500
        ]
        allowed = {(200, "callback_conflict")}
        if sent.manner == "genuine":
            allowed = {(202, "stored"), (200, "duplicate")}
        right = all(pair in allowed for pair in given) and given.count((202, "stored")) <= 1
        what = f"{sent.event_id} ({sent.manner}) was answered {given}"
        finding.require(right, _asset_of(evidence, sent), what)
    return finding


def forgeries_stay_out(evidence: Evidence) -> Finding:
    """Require that a wrong or stale signature is refused, and leaves no row."""
    finding = Finding()
    stored = {delivery.event_id for delivery in evidence.books.deliveries}
    for sent in evidence.sent:
        if sent.manner in {"forged", "stale"}:
            asset_id = _asset_of(evidence, sent)
            refused = all(answer is None or answer >= 400 for answer in sent.answers)
            finding.require(refused, asset_id, f"{sent.event_id} was answered {sent.answers}")
            finding.require(sent.event_id not in stored, asset_id, f"{sent.event_id} got in")
    return finding


def _count(evidence: Evidence, types: frozenset[str]) -> "Counter[str | None]":
    return Counter(
        event.provider_event_id for event in evidence.books.events if event.type in types
    )


def _asset_of(evidence: Evidence, sent: SentEntry) -> str | None:
    attempt = evidence.books.attempt_of.get(sent.job_id)
    return attempt.asset_id if attempt else None
