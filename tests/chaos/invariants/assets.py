"""About assets: none lost, none stuck, what completed plays."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from tests.chaos.evidence import EventRow, Evidence, is_terminal
from tests.chaos.invariants.finding import Finding

EVENT_OF = {
    "cancel": "cancelled",
    "delete": "deleted",
    "reencode": "reencode_requested",
    "retry": "retried",
}
"""What each deed of an owner leaves in the chronicle."""


def acknowledged_creates_exist_once(evidence: Evidence) -> Finding:
    """The id that was answered is a row, and no other row has ever held that post.

    A post is only free again after a deletion; nobody here registers one anew.
    """
    finding = Finding()
    holders = Counter(asset.post_id for asset in evidence.assets)
    for entry in evidence.acknowledged:
        asset = evidence.asset_of.get(entry.asset_id)
        right = asset is not None and asset.post_id == entry.post_id
        finding.require(right, entry.asset_id, f"the asset of post {entry.post_id} is gone")
        once = holders[entry.post_id] <= 1
        finding.require(once, entry.asset_id, f"post {entry.post_id} has several assets")
    return finding


def all_are_terminal(evidence: Evidence) -> Finding:
    """Completed, failed or deleted: also those whose create was never answered."""
    finding = Finding()
    for asset in evidence.assets:
        finding.require(is_terminal(asset), asset.id, f"still {asset.status}")
    return finding


def completed_is_playable(evidence: Evidence) -> Finding:
    """It publishes one output, of a job whose outputs the provider knows to be good."""
    finding = Finding()
    outputs = {output.id: output for output in evidence.outputs}
    good = {job.id for job in evidence.jobs if job.playable}
    shown = Counter(
        output.asset_id
        for output in evidence.outputs
        if output.published_at is not None and output.retired_at is None
    )
    for asset in evidence.assets:
        if asset.status != "completed":
            continue
        output = outputs.get(asset.published_output_id or "")
        finding.require(output is not None, asset.id, "completed, and nothing is published")
        finding.require(shown[asset.id] == 1, asset.id, f"{shown[asset.id]} outputs are published")
        if output is not None:
            passed = output.attempt_id in good
            finding.require(passed, asset.id, "what is published should not have passed the gate")
    return finding


def deeds_are_recorded(evidence: Evidence) -> Finding:
    """Each deed answered with 2xx is an event of its own; one without an answer may be.

    So the chronicle has at least as many as were acknowledged, and no more than were asked for.
    """
    finding = Finding()
    done: Counter[tuple[str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for deed in evidence.deeds:
        key = (deed.asset_id, EVENT_OF[deed.verb])
        done[key] += deed.status is not None and deed.status < 300
        asked[key] += deed.status is None or deed.status < 300 or deed.status >= 500
    recorded = Counter((event.asset_id, event.type) for event in evidence.events)
    for (asset_id, type_), count in done.items():
        found, most = recorded[asset_id, type_], asked[asset_id, type_]
        what = f"{found} x {type_} in the chronicle; {count} acknowledged, {most} asked for"
        finding.require(count <= found <= most, asset_id, what)
    return finding


def recovered_in_time(evidence: Evidence) -> Finding:
    """From the end of the last fault, or its own creation if that was later, to its end."""
    finding = Finding()
    for asset in evidence.assets:
        took = recovery_sec(evidence, asset.id)
        what = f"recovered after {took:.1f} s, later than {evidence.recovery_sec:.1f} s"
        finding.require(took <= evidence.recovery_sec, asset.id, what)
    return finding


def recovery_sec(evidence: Evidence, asset_id: str) -> float:
    """How long after the last fault the asset reached its end; 0 when it had before."""
    events = evidence.chronicles[asset_id]
    ended = _ended_at(events)
    if ended is None:
        return 0.0  # stuck, which another invariant tells
    since = max(evidence.last_fault_at, events[0].created_at)
    return max(0.0, (ended - since).total_seconds())


def _ended_at(events: Sequence[EventRow]) -> datetime | None:
    ends = [
        event.created_at
        for event in events
        if event.to_status in {"completed", "failed"} or event.type == "deleted"
    ]
    return max(ends, default=None)
