"""About callbacks: what was acknowledged is kept and takes effect once; forgeries get nowhere."""

from collections import Counter

from tests.chaos.evidence import Evidence, SentEntry
from tests.chaos.invariants.finding import Finding

SETTLED = frozenset({"applied", "ignored", "dead"})
EFFECTS = frozenset({"completed", "late_success", "failed", "retry_scheduled", "retry_exhausted"})
"""Events by which a callback that ended its job took effect."""


def acknowledged_are_stored(evidence: Evidence) -> Finding:
    """Each id that was answered 202 is one row, with the bytes that were answered so."""
    finding = Finding()
    rows = Counter(delivery.event_id for delivery in evidence.deliveries)
    digests = {delivery.event_id: delivery.body_sha256 for delivery in evidence.deliveries}
    for sent in evidence.sent:
        if 202 in sent.answers:
            asset_id = _asset_of(evidence, sent)
            once = rows[sent.event_id] == 1
            finding.require(once, asset_id, f"{sent.event_id} is {rows[sent.event_id]} rows")
            same = digests.get(sent.event_id) == sent.body_sha256
            finding.require(same, asset_id, f"{sent.event_id} is stored with another body")
    return finding


def all_are_settled(evidence: Evidence) -> Finding:
    """Applied, ignored or dead: none is left unread."""
    finding = Finding()
    for delivery in evidence.deliveries:
        what = f"{delivery.event_id} is {delivery.status}"
        finding.require(delivery.status in SETTLED, delivery.asset_id, what)
    return finding


def applied_once(evidence: Evidence) -> Finding:
    """The chronicle agrees with the inbox: one effect, or one ``callback_ignored``, and not both.

    Progress leaves no event when it is applied.
    """
    finding = Finding()
    effects = _count(evidence, EFFECTS)
    ignored = _count(evidence, frozenset({"callback_ignored"}))
    ends = {sent.event_id for sent in evidence.sent if sent.type != "job.progress"}
    for delivery in evidence.deliveries:
        if delivery.asset_id is None:
            continue
        found = (effects[delivery.event_id], ignored[delivery.event_id])
        is_end = delivery.event_id in ends
        wanted = {"applied": (int(is_end), 0), "ignored": (0, 1)}.get(delivery.status, (0, 0))
        what = f"{delivery.event_id} ({delivery.status}): effects and ignores are {found}"
        finding.require(found == wanted, delivery.asset_id, what)
    return finding


def repetitions_are_recognised(evidence: Evidence) -> Finding:
    """After its 202 an id is only ever answered 200: a duplicate, or a conflict when it differs.

    Failures of ours (5xx, no answer) say nothing either way.
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
    """A wrong or stale signature is refused, and leaves no row."""
    finding = Finding()
    stored = {delivery.event_id for delivery in evidence.deliveries}
    for sent in evidence.sent:
        if sent.manner in {"forged", "stale"}:
            asset_id = _asset_of(evidence, sent)
            refused = all(answer is None or answer >= 400 for answer in sent.answers)
            finding.require(refused, asset_id, f"{sent.event_id} was answered {sent.answers}")
            finding.require(sent.event_id not in stored, asset_id, f"{sent.event_id} got in")
    return finding


def _count(evidence: Evidence, types: frozenset[str]) -> "Counter[str | None]":
    return Counter(event.provider_event_id for event in evidence.events if event.type in types)


def _asset_of(evidence: Evidence, sent: SentEntry) -> str | None:
    attempt = evidence.attempt_of.get(sent.job_id)
    return attempt.asset_id if attempt else None
