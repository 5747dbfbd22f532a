"""Checks by the clients' log: nothing acknowledged is lost, and recovery is in time."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pipeline.domain.events import EventType
from pipeline.domain.states import Status
from tests.chaos.evidence import Evidence
from tests.laws.books import EventRow
from tests.laws.finding import Finding

EVENT_OF = {
    "cancel": EventType.CANCELLED,
    "delete": EventType.DELETED,
    "reencode": EventType.REENCODE_REQUESTED,
    "retry": EventType.RETRIED,
}
"""The event that each deed of an owner leaves in the chronicle."""


def acknowledged_creates_exist_once(evidence: Evidence) -> Finding:
    """Require the answered id as a row, and no other row that ever held that post.

    A post is only free again after a deletion; no client here registers one anew.
    """
    finding = Finding()
    holders = Counter(asset.post_id for asset in evidence.books.assets)
    for entry in evidence.acknowledged:
        asset = evidence.books.asset_of.get(entry.asset_id)
        right = asset is not None and asset.post_id == entry.post_id
        finding.require(right, entry.asset_id, f"the asset of post {entry.post_id} is gone")
        once = holders[entry.post_id] <= 1
        finding.require(once, entry.asset_id, f"post {entry.post_id} has several assets")
    return finding


def deeds_are_recorded(evidence: Evidence) -> Finding:
    """Require at least as many events as deeds were acknowledged, and no more than were asked for.

    A deed without an answer may have taken effect.
    """
    finding = Finding()
    done: Counter[tuple[str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for deed in evidence.deeds:
        key = (deed.asset_id, EVENT_OF[deed.verb])
        done[key] += deed.status is not None and deed.status < 300
        asked[key] += deed.status is None or deed.status < 300 or deed.status >= 500
    recorded = Counter((event.asset_id, event.type) for event in evidence.books.events)
    for (asset_id, type_), count in done.items():
        found, most = recorded[asset_id, type_], asked[asset_id, type_]
        what = f"{found} x {type_} in the chronicle; {count} acknowledged, {most} asked for"
        finding.require(count <= found <= most, asset_id, what)
    return finding


def recovered_in_time(evidence: Evidence) -> Finding:
    """Require the end of each asset within the bound."""
    finding = Finding()
    for asset in evidence.books.assets:
        took = recovery_sec(evidence, asset.id)
        what = f"recovered after {took:.1f} s, later than {evidence.recovery_sec:.1f} s"
        finding.require(took <= evidence.recovery_sec, asset.id, what)
    return finding


def recovery_sec(evidence: Evidence, asset_id: str) -> float:
    """Return the seconds from the last fault, or its later creation, to the end; 0 if it ended
    before."""
    events = evidence.books.chronicles[asset_id]
    ended = _ended_at(events)
    if ended is None:
        return 0.0  # stuck, which another check finds
    since = max(evidence.last_fault_at, events[0].created_at)
    return max(0.0, (ended - since).total_seconds())


def _ended_at(events: Sequence[EventRow]) -> datetime | None:
    ends = [
        event.created_at
        for event in events
        if event.to_status in {Status.COMPLETED, Status.FAILED} or event.type == EventType.DELETED
    ]
    return max(ends, default=None)


def one_body_per_job(evidence: Evidence) -> Finding:
    """Require that no job was submitted again with another body."""
    finding = Finding()
    for job in evidence.books.jobs:
        attempt = evidence.books.attempt_of.get(job.id)
        asset_id = attempt.asset_id if attempt else None
        same = job.id not in evidence.other_bodies
        finding.require(same, asset_id, f"job {job.id} was submitted with two bodies")
    return finding
