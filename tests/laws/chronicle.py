"""Checks of the chronicle: it tells a legal story, and only rightful holders wrote it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pipeline.domain.events import EventType
from pipeline.domain.states import Status, is_allowed
from tests.laws.books import AssetRow, Books, EventRow
from tests.laws.finding import Finding

RAISES_TOKEN = frozenset(
    {
        EventType.CLAIMED,
        EventType.LEASE_TAKEN_OVER,
        EventType.JOB_SEEN,
        EventType.PLAYABLE,
        EventType.HELD,
        EventType.RETRY_SCHEDULED,
        EventType.RETRY_EXHAUSTED,
        EventType.FAILED,
        EventType.EXPIRED,
        EventType.COMPLETED,
        EventType.LATE_SUCCESS,
        EventType.CANCELLED,
        EventType.DELETED,
        EventType.RETRIED,
        EventType.REENCODE_REQUESTED,
    }
)
"""Events whose write raises the lease token by one; no other write does, nor does a hold that takes
no edge: one before a claim."""

OPENS = frozenset({EventType.CLAIMED, EventType.LEASE_TAKEN_OVER})
ENDS = frozenset({EventType.SUBMITTED, EventType.SUBMIT_UNANSWERED, EventType.LOOKED_UP})
"""The last write of a holder that does not leave ``processing``."""
HOLDERS_OWN = frozenset({EventType.SOURCE_VERIFIED, EventType.METADATA_MISMATCH}) | ENDS
SETBACKS = frozenset(
    {EventType.HELD, EventType.RETRY_SCHEDULED, EventType.FAILED, EventType.RETRY_EXHAUSTED}
)


def numbered_without_gap(books: Books) -> Finding:
    """Require 1, 2, 3 … up to ``last_seq``, each no earlier than the one before."""
    finding = Finding()
    for asset in books.assets:
        events = books.chronicles[asset.id]
        numbers = [event.seq for event in events]
        whole = numbers == list(range(1, asset.last_seq + 1))
        finding.require(whole, asset.id, f"seq is {numbers}, last_seq {asset.last_seq}")
        forward = all(a.created_at <= b.created_at for a, b in pairwise(events))
        finding.require(forward, asset.id, "its events are not in the order of time")
    return finding


def history_is_legal(books: Books) -> Finding:
    """Require legal edges, chained up to the row, and attempts counted one by one."""
    finding = Finding()
    for asset in books.assets:
        events = books.chronicles[asset.id]
        for wrong in (*_broken_edges(events, asset), *_miscounts(books, events, asset)):
            finding.require(False, asset.id, wrong)
        finding.checked += sum(1 for event in events if event.to_status)
    return finding


def _broken_edges(events: Sequence[EventRow], asset: AssetRow) -> Iterator[str]:
    edges = [event for event in events if event.to_status]
    if not edges or (edges[0].type, edges[0].from_status) != (EventType.CREATED, None):
        yield "it does not begin with its creation"
    for before, edge in pairwise(edges):
        if edge.from_status != before.to_status:
            yield f"seq {edge.seq} leaves {edge.from_status}, but it was {before.to_status}"
        elif not is_allowed(Status(str(edge.from_status)), Status(str(edge.to_status))):
            yield f"seq {edge.seq}: {edge.from_status} -> {edge.to_status} is no edge"
    if edges and edges[-1].to_status != asset.status:
        yield f"the row is {asset.status}, the chronicle ends in {edges[-1].to_status}"


def _miscounts(books: Books, events: Sequence[EventRow], asset: AssetRow) -> Iterator[str]:
    counted = list(range(1, asset.attempt + 1))
    claims = [event.attempt or 0 for event in events if event.type == EventType.CLAIMED]
    if claims != counted:
        yield f"attempts were claimed as {claims}, the row counts {asset.attempt}"
    numbers = sorted(each.number for each in books.attempts if each.asset_id == asset.id)
    if numbers != counted:
        yield f"it has attempts {numbers}, the row counts {asset.attempt}"
    if any(a.generation > b.generation for a, b in pairwise(events)):
        yield "the generation went back"


def tokens_are_accounted_for(books: Books) -> Finding:
    """Require a token that is exactly the number of events whose write raises it.

    A higher one was raised without an event. A lower one means a write that was undone or made
    twice.
    """
    finding = Finding()
    for asset in books.assets:
        types = Counter(e.type for e in books.chronicles[asset.id] if not _is_put_off(e))
        raised = sum(types[type_] for type_ in RAISES_TOKEN)
        what = f"the token is {asset.lease_token}, after {raised} events that raise it"
        finding.require(asset.lease_token == raised, asset.id, what)
    return finding


def _is_put_off(event: EventRow) -> bool:
    """Return true for a hold before a claim: the asset stays where it is, and unclaimed."""
    return event.type == EventType.HELD and event.to_status is None


def ended_stays_ended(books: Books) -> Finding:
    """Require that no event leaves ``cancelled``, but for a retry, and none leaves ``deleted``."""
    finding = Finding()
    for asset in books.assets:
        ended_by = ""
        for event in books.chronicles[asset.id]:
            if event.to_status is not None:
                revived = ended_by == EventType.DELETED or (
                    ended_by == EventType.CANCELLED and event.type != EventType.RETRIED
                )
                finding.require(not revived, asset.id, f"{event.type} after it was {ended_by}")
            if event.to_status is not None or event.type == EventType.DELETED:
                ended_by = event.type
    return finding


def holders_write_alone(books: Books) -> Finding:
    """Require one writer between a claim and the next rise of the token, writing in its order.

    A holding begins with ``claimed`` or ``lease_taken_over``. Its worker may write
    ``source_verified`` once, then ``metadata_mismatch`` once, then one ending: submitted,
    unanswered, looked up, or a setback. Anything else by a worker (a second verification, a second
    ending, an ending after a fence or of another attempt) was written by a holder whose token had
    been raised meanwhile.
    """
    finding = Finding()
    for asset in books.assets:
        holding = _Holding()
        for event in books.chronicles[asset.id]:
            wrong = holding.read(event)
            finding.require(wrong is None, asset.id, f"seq {event.seq}, {event.type}: {wrong}")
    return finding


class _Holding:
    """The present holder, followed through a chronicle event by event."""

    def __init__(self) -> None:
        self._written: set[str] | None = None
        """The events of the present holder; None without one."""
        self._attempt: int | None = None

    def read(self, event: EventRow) -> str | None:
        """Take in the next event; return the sentence about its error, if any."""
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
            return None  # written by the worker that finds that too many holders were lost
        if self._written is None:
            return "nobody held it"
        if event.attempt != self._attempt:
            return f"attempt {event.attempt}, but attempt {self._attempt} is held"
        if event.type in self._written:
            return "written before in the same holding"
        return None
