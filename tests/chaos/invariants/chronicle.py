"""About the chronicle: it tells a legal story, and only rightful holders wrote it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pipeline.domain.states import Status, is_allowed
from tests.chaos.evidence import AssetRow, EventRow, Evidence
from tests.chaos.invariants.finding import Finding

RAISES_TOKEN = frozenset(
    {
        "claimed",
        "lease_taken_over",
        "held",
        "retry_scheduled",
        "retry_exhausted",
        "failed",
        "expired",
        "completed",
        "late_success",
        "cancelled",
        "deleted",
        "retried",
        "reencode_requested",
    }
)
"""Events whose write raises the lease token by one; no other write does, nor does a hold that takes
no edge: one before a claim."""

OPENS = frozenset({"claimed", "lease_taken_over"})
ENDS = frozenset({"submitted", "submit_unanswered", "looked_up"})
"""What a holder writes last without leaving ``processing``."""
HOLDERS_OWN = frozenset({"source_verified", "metadata_mismatch"}) | ENDS
SETBACKS = frozenset({"held", "retry_scheduled", "failed", "retry_exhausted"})


def _is_put_off(event: EventRow) -> bool:
    """Whether it tells of a hold before a claim: the asset stays where it is, and nobody's."""
    return event.type == "held" and event.to_status is None


def numbered_without_gap(evidence: Evidence) -> Finding:
    """1, 2, 3 … up to the row's ``last_seq``, each no earlier than the one before."""
    finding = Finding()
    for asset in evidence.assets:
        events = evidence.chronicles[asset.id]
        numbers = [event.seq for event in events]
        whole = numbers == list(range(1, asset.last_seq + 1))
        finding.require(whole, asset.id, f"seq is {numbers}, last_seq {asset.last_seq}")
        forward = all(a.created_at <= b.created_at for a, b in pairwise(events))
        finding.require(forward, asset.id, "its events are not in the order of time")
    return finding


def history_is_legal(evidence: Evidence) -> Finding:
    """Every edge is one of TRANSITIONS, begins where the last one ended, and the row agrees.

    Attempts and generations only ever grow.
    """
    finding = Finding()
    for asset in evidence.assets:
        events = evidence.chronicles[asset.id]
        for wrong in _breaks(events, asset):
            finding.require(False, asset.id, wrong)
        finding.checked += sum(1 for event in events if event.to_status)
    return finding


def _breaks(events: Sequence[EventRow], asset: AssetRow) -> Iterator[str]:
    edges = [event for event in events if event.to_status]
    if not edges or (edges[0].type, edges[0].from_status) != ("created", None):
        yield "it does not begin with its creation"
    for before, edge in pairwise(edges):
        if edge.from_status != before.to_status:
            yield f"seq {edge.seq} leaves {edge.from_status}, but it was {before.to_status}"
        elif not is_allowed(Status(str(edge.from_status)), Status(str(edge.to_status))):
            yield f"seq {edge.seq}: {edge.from_status} -> {edge.to_status} is no edge"
    if edges and edges[-1].to_status != asset.status:
        yield f"the row is {asset.status}, the chronicle ends in {edges[-1].to_status}"
    claims = [event.attempt or 0 for event in events if event.type == "claimed"]
    if claims != list(range(1, len(claims) + 1)):
        yield f"attempts were claimed as {claims}"
    if any(a.generation > b.generation for a, b in pairwise(events)):
        yield "the generation went back"


def tokens_are_accounted_for(evidence: Evidence) -> Finding:
    """The token is exactly the number of events whose write raises it.

    More, and somebody raised it without a word; fewer, and a write was undone or made twice.
    """
    finding = Finding()
    for asset in evidence.assets:
        chronicle = evidence.chronicles[asset.id]
        types = Counter(event.type for event in chronicle if not _is_put_off(event))
        raised = sum(types[type_] for type_ in RAISES_TOKEN)
        what = f"the token is {asset.lease_token}, after {raised} events that raise it"
        finding.require(asset.lease_token == raised, asset.id, what)
    return finding


def holders_write_alone(evidence: Evidence) -> Finding:
    """Between one claim and whatever raises the token next, one worker writes, in its order.

    A holding begins with ``claimed`` or ``lease_taken_over``. Its worker may write
    ``source_verified`` once, then ``metadata_mismatch`` once, then one ending: submitted,
    unanswered, looked up, or a setback. Anything by a worker outside that (a second verification,
    a second ending, an ending after a fence or of another attempt) was written by somebody whose
    token had been raised meanwhile.
    """
    finding = Finding()
    for asset in evidence.assets:
        holding = _Holding()
        for event in evidence.chronicles[asset.id]:
            wrong = holding.read(event)
            finding.require(wrong is None, asset.id, f"seq {event.seq}, {event.type}: {wrong}")
    return finding


class _Holding:
    """Reads a chronicle line by line and knows who may write next."""

    def __init__(self) -> None:
        self._written: set[str] | None = None
        """What the present holder has written; None while nobody holds it."""
        self._attempt: int | None = None

    def read(self, event: EventRow) -> str | None:
        """Take in the next event; say what is wrong with it."""
        if _is_put_off(event):
            return None if self._written is None else "put off while somebody held it"
        by_holder = event.actor == "worker" and event.type in HOLDERS_OWN | SETBACKS
        wrong = self._wrong(event) if by_holder else None
        if event.type in OPENS:
            self._written, self._attempt = set(), event.attempt
        elif event.type in RAISES_TOKEN or event.type in ENDS:
            self._written = None
        elif by_holder and self._written is not None:
            self._written.add(event.type)
        return wrong

    def _wrong(self, event: EventRow) -> str | None:
        if event.detail.get("code") == "worker_crashed":
            return None  # written by whoever finds that too many holders were lost
        if self._written is None:
            return "nobody held it"
        if event.attempt != self._attempt:
            return f"attempt {event.attempt}, but attempt {self._attempt} is held"
        if event.type in self._written:
            return "written before in the same holding"
        return None
