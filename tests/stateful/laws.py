"""The laws, as checks of what is written against what the provider really has.

Each yields a sentence for every breach; ``breaches`` collects them. They hold after every step of
every use case, whoever crashed, and those of ``AT_REST`` once nothing is due any more.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from pipeline.domain.states import LIVE, Status, is_allowed
from pipeline.records.models import Asset, Attempt, Event
from tests.scripted_provider import ScriptedProvider
from tests.stateful.books import Books, live_jobs

CLAIMS = frozenset({"claimed", "lease_taken_over"})
WRITTEN_UNDER_A_CLAIM = frozenset(
    {"source_verified", "submitted", "submit_unanswered", "looked_up"}
)

Law = Callable[[Books, ScriptedProvider], Iterator[str]]


def the_chronicle_has_no_gap(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in books.assets.values():
        numbers = [event.seq for event in books.chronicles[asset.id]]
        if numbers != list(range(1, asset.last_seq + 1)):
            yield f"{asset.id} has events {numbers}, its last is {asset.last_seq}"


def every_status_was_reached_by_its_edges(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in books.assets.values():
        status: Status | None = None
        for event in _changes(books.chronicles[asset.id]):
            assert event.to_status is not None
            if event.from_status is not status:
                yield f"{asset.id}: {event.type} leaves {event.from_status}, it was {status}"
            if status is not None and not is_allowed(status, event.to_status):
                yield f"{asset.id}: {status} -> {event.to_status} is no edge"
            status = event.to_status
        if status is not asset.status:
            yield f"{asset.id} is {asset.status}, its chronicle ends in {status}"


def completed_means_published(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in books.assets.values():
        if asset.status is Status.COMPLETED and asset.published_output_id not in books.outputs:
            yield f"{asset.id} is completed without outputs"
        shown = [
            output.id
            for output in books.outputs.values()
            if output.asset_id == asset.id and output.retired_at is None
        ]
        expected = [asset.published_output_id] if asset.published_output_id else []
        if shown != expected:
            yield f"{asset.id} publishes {expected}, not retired are {shown}"


def what_is_published_stays(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in books.assets.values():
        output = books.published(asset)
        if output is None:
            continue
        attempt = books.attempts[output.attempt_id]
        if output.removed_at or attempt.purged_at or attempt.purge_at:
            yield f"{asset.id}: the files of what it publishes are gone, or going"
        if attempt.release_requested_at is not None and attempt.released_at is None:
            yield f"{asset.id}: the job of what it publishes is about to be given up"


def nothing_resurrects_what_was_ended(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in books.assets.values():
        ended_by: str | None = None
        for event in books.chronicles[asset.id]:
            if ended_by == "deleted" and event.to_status is not None:
                yield f"{asset.id}: {event.type} after it was deleted"
            if ended_by == "cancelled" and event.to_status is not None and event.type != "retried":
                yield f"{asset.id}: {event.type} after it was cancelled"
            if event.to_status is not None or event.type == "deleted":
                ended_by = event.type


def every_job_is_wanted_or_owed(books: Books, provider: ScriptedProvider) -> Iterator[str]:
    for id_ in live_jobs(provider):
        attempt = books.attempts[id_]
        owed = attempt.release_requested_at is not None and attempt.released_at is None
        if not owed and not _is_wanted(books, attempt, provider.jobs[id_]["status"]):
            yield (
                f"attempt {attempt.number} of {attempt.asset_id} is an orphan: {attempt.outcome},"
                f" owed {attempt.release_requested_at}, paid {attempt.released_at}"
            )


def _is_wanted(books: Books, attempt: Attempt, job_status: str) -> bool:
    asset = books.assets[attempt.asset_id]
    if asset.deleted_at is not None:
        return False
    for output in books.outputs.values():
        if output.attempt_id == attempt.id and output.removed_at is None:
            return True  # published, or kept for those who still watch it and for a rollback
    if asset.attempt_id != attempt.id:
        return False
    # A finished job whose outputs were turned away is the provider's to send again, until another
    # attempt takes its place.
    return asset.status is Status.PROCESSING or (
        job_status == "completed" and asset.error_code != "cancelled"
    )


def one_attempt_is_under_way(books: Books, _: ScriptedProvider) -> Iterator[str]:
    open_ = Counter(
        attempt.asset_id
        for attempt in books.attempts.values()
        if attempt.intended_at is not None
        and attempt.outcome in {None, "accepted"}
        and attempt.release_requested_at is None
    )
    for asset_id, number in open_.items():
        if number > 1:
            yield f"{asset_id} has {number} attempts under way"


def attempts_are_counted(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in books.assets.values():
        numbers = [attempt.number for attempt in books.attempts_of(asset)]
        if numbers != list(range(1, asset.attempt + 1)):
            yield f"{asset.id} has attempts {numbers}, it counts {asset.attempt}"


def what_is_live_has_a_deadline(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in _kept(books):
        if asset.status in LIVE and asset.deadline_at is None:
            yield f"{asset.id} is {asset.status} without a deadline"
        if asset.status is Status.PROCESSING and not (asset.lease_expires_at or asset.next_poll_at):
            yield f"{asset.id} is processing, and neither held nor polled"


def budgets_hold(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in books.assets.values():
        if asset.failures > asset.max_attempts:
            yield f"{asset.id} has spent {asset.failures} failures of {asset.max_attempts}"


def every_callback_counts_once(books: Books, _: ScriptedProvider) -> Iterator[str]:
    stored = Counter((delivery.provider, delivery.event_id) for delivery in books.deliveries)
    told = Counter(
        event.provider_event_id
        for chronicle in books.chronicles.values()
        for event in chronicle
        if event.provider_event_id is not None
    )
    for name, number in stored.items():
        if number > 1:
            yield f"callback {name} is stored {number} times"
    for event_id, number in told.items():
        if number > 1:
            yield f"callback {event_id} had an effect {number} times"


def a_claim_is_written_from_once(books: Books, _: ScriptedProvider) -> Iterator[str]:
    """Who was overtaken writes nothing: each claim has one report of each kind."""
    for asset_id, chronicle in books.chronicles.items():
        told: Counter[str] = Counter()
        for event in chronicle:
            if event.type in CLAIMS:
                told.clear()
            told[event.type] += event.type in WRITTEN_UNDER_A_CLAIM
            if told[event.type] > 1:
                yield f"{asset_id}: {event.type} twice under one claim, at {event.seq}"


LAWS: tuple[Law, ...] = (
    the_chronicle_has_no_gap,
    every_status_was_reached_by_its_edges,
    completed_means_published,
    what_is_published_stays,
    nothing_resurrects_what_was_ended,
    every_job_is_wanted_or_owed,
    one_attempt_is_under_way,
    attempts_are_counted,
    what_is_live_has_a_deadline,
    budgets_hold,
    every_callback_counts_once,
    a_claim_is_written_from_once,
)


def every_asset_has_ended(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for asset in _kept(books):
        if asset.status in LIVE:
            yield f"{asset.id} is {asset.status} for ever"


def every_callback_is_settled(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for delivery in books.deliveries:
        if delivery.status == "new":
            yield f"callback {delivery.event_id} is unread for ever"


def every_debt_is_paid(books: Books, _: ScriptedProvider) -> Iterator[str]:
    for attempt in books.attempts.values():
        if attempt.release_requested_at is not None and attempt.released_at is None:
            yield f"attempt {attempt.number} of {attempt.asset_id} is owed a release for ever"


AT_REST: tuple[Law, ...] = (
    every_asset_has_ended,
    every_callback_is_settled,
    every_debt_is_paid,
)


def an_attempt_is_posted_once(books: Books, provider: ScriptedProvider) -> Iterator[str]:
    """What a provider is owed that makes a job of every request it gets."""
    for id_, number in Counter(provider.puts).items():
        if number > 1:
            yield f"attempt {books.attempts[id_].number} was posted {number} times"


def tokens_never_decrease(before: Books, now: Books, _: ScriptedProvider) -> Iterator[str]:
    """What fences a worker must not come back to what that worker has read."""
    for id_, asset in before.assets.items():
        if now.assets[id_].lease_token < asset.lease_token:
            yield f"{id_}: token {asset.lease_token} became {now.assets[id_].lease_token}"


def breaches(books: Books, provider: ScriptedProvider, *laws: Law) -> Mapping[str, list[str]]:
    """Every breach of these laws, by the law's name; nothing of those that hold."""
    found = {_name_of(law): list(law(books, provider)) for law in laws}
    return {name: sentences for name, sentences in found.items() if sentences}


def _name_of(law: Law) -> str:
    function = law.func if isinstance(law, partial) else law
    return str(getattr(function, "__name__", function))


def _changes(chronicle: list[Event]) -> list[Event]:
    return [event for event in chronicle if event.to_status is not None]


def _kept(books: Books) -> Iterator[Asset]:
    return (asset for asset in books.assets.values() if asset.deleted_at is None)
