"""Checks of the inbox: each callback is stored once, counts once and is settled."""

from collections import Counter

from tests.laws.books import Books
from tests.laws.finding import Finding

SETTLED = frozenset({"applied", "ignored", "dead"})


def callbacks_count_once(books: Books) -> Finding:
    """Require one row for each event id, and at most one event of the chronicle that names it."""
    finding = Finding()
    stored = Counter((delivery.provider, delivery.event_id) for delivery in books.deliveries)
    named = Counter(event.provider_event_id for event in books.events)
    for delivery in books.deliveries:
        number = stored[delivery.provider, delivery.event_id]
        what = f"{delivery.event_id} is stored {number} times"
        finding.require(number == 1, delivery.asset_id, what)
        effects = named[delivery.event_id]
        what = f"{delivery.event_id} is named by {effects} events"
        finding.require(effects <= 1, delivery.asset_id, what)
    return finding


def all_are_settled(books: Books) -> Finding:
    """Require applied, ignored or dead: none is left unread."""
    finding = Finding()
    for delivery in books.deliveries:
        what = f"{delivery.event_id} is {delivery.status}"
        finding.require(delivery.status in SETTLED, delivery.asset_id, what)
    return finding
