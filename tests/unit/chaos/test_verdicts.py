"""Each law sees its violation; a run in which all is well violates none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.clients import Deed
from tests.chaos.evidence import Evidence
from tests.chaos.verdicts import JUDGED, judge
from tests.laws.law import Law
from tests.unit.chaos.healthy import altered, at, delivery, healthy, job, output

Plant = Callable[[Evidence], Evidence]


def _books(evidence: Evidence, **changes: object) -> Evidence:
    return replace(evidence, books=replace(evidence.books, **changes))  # type: ignore[arg-type]


def _event(evidence: Evidence, asset_id: str, seq: int, **changes: object) -> Evidence:
    events = altered(
        evidence.books.events,
        lambda event: (event.asset_id, event.seq) == (asset_id, seq),
        **changes,
    )
    return _books(evidence, events=events)


def _asset(evidence: Evidence, id_: str, **changes: object) -> Evidence:
    rows = altered(evidence.books.assets, lambda row: row.id == id_, **changes)
    return _books(evidence, assets=rows)


def _attempt(evidence: Evidence, id_: str, **changes: object) -> Evidence:
    rows = altered(evidence.books.attempts, lambda row: row.id == id_, **changes)
    return _books(evidence, attempts=rows)


def _job(evidence: Evidence, id_: str, **changes: object) -> Evidence:
    rows = altered(evidence.books.jobs, lambda row: row.id == id_, **changes)
    return _books(evidence, jobs=rows)


def _sent(evidence: Evidence, event_id: str, manner: str, **changes: object) -> Evidence:
    sent = altered(
        evidence.sent, lambda row: (row.event_id, row.manner) == (event_id, manner), **changes
    )
    return replace(evidence, sent=sent)


def _delivery(evidence: Evidence, event_id: str, **changes: object) -> Evidence:
    rows = altered(evidence.books.deliveries, lambda row: row.event_id == event_id, **changes)
    return _books(evidence, deliveries=rows)


def _stale_ending(evidence: Evidence) -> Evidence:
    """The holder that was taken over writes its own ending after the new holder's."""
    late = replace(evidence.books.events[6], seq=10)
    return _asset(_books(evidence, events=(*evidence.books.events, late)), "A", last_seq=10)


def _live(evidence: Evidence, **changes: object) -> Evidence:
    """Asset B is in processing, with a deadline and a poll but for the changes."""
    bounds = {"deadline_at": at(90), "next_poll_at": at(40)}
    return _asset(evidence, "B", status="processing", **(bounds | changes))


PLANTS: list[tuple[Law, str, Plant]] = [
    (
        Law.CREATES_EXIST_ONCE,
        "an acknowledged asset is not there",
        lambda e: _books(e, assets=e.books.assets[1:]),
    ),
    (
        Law.CREATES_EXIST_ONCE,
        "a create made two assets",
        lambda e: _books(e, assets=(*e.books.assets, replace(e.books.assets[1], id="B2"))),
    ),
    (
        Law.ALL_ENDS,
        "an asset is processing for ever",
        _live,
    ),
    (
        Law.COMPLETED_IS_PLAYABLE,
        "a completed asset publishes nothing",
        lambda e: _asset(e, "A", published_output_id=None),
    ),
    (
        Law.COMPLETED_IS_PLAYABLE,
        "two outputs are published at once",
        lambda e: _books(e, outputs=(*e.books.outputs, output("more", "A", "a1"))),
    ),
    (
        Law.COMPLETED_IS_PLAYABLE,
        "an unplayable output was published",
        lambda e: _job(e, "a2", playable=False),
    ),
    (
        Law.DEEDS_ARE_RECORDED,
        "an acknowledged cancel left no event",
        lambda e: _event(e, "B", 4, type="failed"),
    ),
    (
        Law.DEEDS_ARE_RECORDED,
        "one cancel took effect twice",
        lambda e: _event(e, "B", 5, type="cancelled"),
    ),
    (
        Law.RECOVERED_IN_TIME,
        "an asset took longer than the bound",
        lambda e: replace(e, recovery_sec=1.0),
    ),
    (
        Law.ONE_JOB_PER_ATTEMPT,
        "a job was submitted before its intent",
        lambda e: _attempt(e, "a1", intended_at=None),
    ),
    (
        Law.ONE_JOB_PER_ATTEMPT,
        "a job is no attempt's",
        lambda e: _books(e, jobs=(*e.books.jobs, job("zz", "failed", at(1), at(2)))),
    ),
    (
        Law.ONE_JOB_PER_ATTEMPT,
        "a job was submitted with two bodies",
        lambda e: replace(e, other_bodies=("a1",)),
    ),
    (
        Law.HISTORY_IS_LEGAL,
        "two attempts have one number",
        lambda e: _attempt(e, "a2", number=1),
    ),
    (
        Law.ONE_ATTEMPT_UNDER_WAY,
        "two jobs of an asset were wanted at once",
        lambda e: _job(e, "a1", finished_at=at(9)),
    ),
    (
        Law.NO_ORPHANS,
        "a cancelled asset's job runs on",
        lambda e: _job(e, "b1", status="running", finished_at=None, given_up=False),
    ),
    (
        Law.NO_ORPHANS,
        "an old attempt's job completed unseen",
        lambda e: _job(e, "a1", status="completed"),
    ),
    (
        Law.NO_ORPHANS,
        "a deleted asset's output stays at the provider",
        lambda e: _job(e, "c1", status="completed"),
    ),
    (
        Law.ONE_ATTEMPT_UNDER_WAY,
        "two attempts of an asset are under way",
        lambda e: _attempt(_attempt(e, "a1", outcome="accepted"), "a2", outcome="accepted"),
    ),
    (
        Law.RELEASES_ARE_PAID,
        "a release was never made",
        lambda e: _attempt(e, "b1", released_at=None),
    ),
    (
        Law.NUMBERED_WITHOUT_GAP,
        "an event is missing",
        lambda e: _books(e, events=(*e.books.events[:2], *e.books.events[3:])),
    ),
    (
        Law.NUMBERED_WITHOUT_GAP,
        "the last event is missing",
        lambda e: _asset(e, "A", last_seq=10),
    ),
    (
        Law.NUMBERED_WITHOUT_GAP,
        "an event is older than the one before",
        lambda e: _event(e, "A", 5, created_at=at(0)),
    ),
    (
        Law.HISTORY_IS_LEGAL,
        "an edge that does not exist was taken",
        lambda e: _event(_event(e, "B", 2, to_status="retrying"), "B", 4, from_status="retrying"),
    ),
    (
        Law.HISTORY_IS_LEGAL,
        "a status was changed without an event",
        lambda e: _event(e, "A", 8, from_status="retrying"),
    ),
    (
        Law.HISTORY_IS_LEGAL,
        "the row is not where its chronicle ends",
        lambda e: _asset(e, "B", status="completed"),
    ),
    (
        Law.HISTORY_IS_LEGAL,
        "an attempt was counted twice",
        lambda e: _event(e, "A", 5, attempt=1),
    ),
    (
        Law.TOKENS_RISE,
        "a token rose without a word",
        lambda e: _asset(e, "A", lease_token=6),
    ),
    (
        Law.TOKENS_RISE,
        "a write did not raise the token",
        lambda e: _asset(e, "B", lease_token=1),
    ),
    (Law.HOLDERS_WRITE_ALONE, "a stale holder ended the attempt after its end", _stale_ending),
    (
        Law.HOLDERS_WRITE_ALONE,
        "a stale holder wrote while another held it",
        lambda e: _event(e, "A", 6, type="submitted"),
    ),
    (
        Law.HOLDERS_WRITE_ALONE,
        "a worker wrote after the asset had been cancelled",
        lambda e: _event(e, "B", 5, type="submitted"),
    ),
    (
        Law.HOLDERS_WRITE_ALONE,
        "a worker wrote of an old attempt",
        lambda e: _event(e, "A", 7, attempt=1),
    ),
    (
        Law.CALLBACKS_ARE_STORED,
        "an acknowledged callback is not stored",
        lambda e: _books(e, deliveries=e.books.deliveries[1:]),
    ),
    (
        Law.CALLBACKS_ARE_STORED,
        "a callback is stored twice",
        lambda e: _books(e, deliveries=(*e.books.deliveries, e.books.deliveries[0])),
    ),
    (
        Law.CALLBACKS_ARE_STORED,
        "the stored bytes are not those acknowledged",
        lambda e: _delivery(e, "end-a1", body_sha256="other"),
    ),
    (
        Law.CALLBACKS_ARE_SETTLED,
        "a callback is left unread",
        lambda e: _delivery(e, "end-a1", status="new"),
    ),
    (
        Law.CALLBACKS_COUNT_ONCE,
        "a callback took effect twice",
        lambda e: _event(e, "A", 8, provider_event_id="end-a1"),
    ),
    (
        Law.CALLBACKS_COUNT_ONCE,
        "an applied callback had no effect",
        lambda e: _event(e, "C", 4, provider_event_id=None),
    ),
    (
        Law.CALLBACKS_COUNT_ONCE,
        "an ignored callback left no record",
        lambda e: _event(e, "A", 9, provider_event_id=None),
    ),
    (
        Law.REPETITIONS_ARE_RECOGNISED,
        "a repetition was stored again",
        lambda e: _sent(e, "end-a2", "genuine", answers=(202, 202), results=("stored", "stored")),
    ),
    (
        Law.REPETITIONS_ARE_RECOGNISED,
        "a conflicting body was taken",
        lambda e: _sent(e, "end-a2", "conflicting", answers=(202,), results=("stored",)),
    ),
    (
        Law.REPETITIONS_ARE_RECOGNISED,
        "a genuine callback was refused",
        lambda e: _sent(e, "end-a1", "genuine", answers=(401,), results=("signature_invalid",)),
    ),
    (
        Law.FORGERIES_STAY_OUT,
        "a forged callback was acknowledged",
        lambda e: _sent(e, "forged-a2", "forged", answers=(202,)),
    ),
    (
        Law.FORGERIES_STAY_OUT,
        "a stale callback was stored",
        lambda e: _books(
            e, deliveries=(*e.books.deliveries, delivery("stale-a2", "z", "ignored", None))
        ),
    ),
    (
        Law.CALLBACKS_COUNT_ONCE,
        "an event id is stored twice",
        lambda e: _books(e, deliveries=(*e.books.deliveries, e.books.deliveries[0])),
    ),
    (
        Law.ENDED_STAYS_ENDED,
        "a cancelled asset failed once more",
        lambda e: _event(e, "B", 5, type="failed", to_status="failed"),
    ),
    (
        Law.ENDED_STAYS_ENDED,
        "a deleted asset was claimed",
        lambda e: _event(
            _event(e, "C", 6, type="claimed", to_status="processing"),
            "C",
            5,
            type="deleted",
            to_status=None,
        ),
    ),
    (
        Law.LIVE_HAS_DEADLINE,
        "an asset is processing without a deadline",
        lambda e: _live(e, deadline_at=None),
    ),
    (
        Law.LIVE_HAS_DEADLINE,
        "an asset is processing and nothing looks after it",
        lambda e: _live(e, next_poll_at=None),
    ),
    (
        Law.BUDGETS_HOLD,
        "an asset failed more often than it may",
        lambda e: _asset(e, "B", failures=4),
    ),
    (
        Law.PUBLISHED_STAYS,
        "the files of a published output are to be purged",
        lambda e: _attempt(e, "a2", purge_at=at(90)),
    ),
    (
        Law.PUBLISHED_STAYS,
        "the job of a published output is to be released",
        lambda e: _attempt(e, "a2", release_requested_at=at(21)),
    ),
    (
        Law.LIARS_GET_FEW_JOBS,
        "an account that lies gets a fourth job",
        lambda e: replace(e, lies=("a", "b", "c", "d")),
    ),
]


def _violated(evidence: Evidence) -> set[Law]:
    return {verdict.law for verdict in judge(evidence) if verdict.violations}


def test_a_run_in_which_every_promise_held_violates_nothing() -> None:
    assert _violated(healthy()) == set()


def test_every_law_looks_at_something_in_that_run() -> None:
    assert all(verdict.checked for verdict in judge(healthy()))


@pytest.mark.parametrize(("law", "plant"), [(law, plant) for law, _, plant in PLANTS],
                         ids=[what for _, what, _ in PLANTS])  # fmt: skip
def test_a_law_sees_its_violation(law: Law, plant: Plant) -> None:
    assert law in _violated(plant(healthy()))


def test_every_law_has_a_planted_violation() -> None:
    assert {law for law, _, _ in PLANTS} == JUDGED


def test_a_deed_that_was_never_answered_may_or_may_not_have_happened() -> None:
    evidence = healthy()
    unheard = replace(evidence, deeds=(*evidence.deeds, Deed("cancel", "post-B", "B", None)))
    assert _violated(unheard) == set()


def test_an_earlier_job_that_was_published_late_is_no_longer_owed_its_release() -> None:
    """Attempt 1 was given up, attempt 2 submitted, then attempt 1 completed and was published."""
    wanted_twice = _job(healthy(), "a1", status="completed", finished_at=at(9), playable=True)
    assert _violated(wanted_twice) >= {Law.ONE_ATTEMPT_UNDER_WAY}
    outputs = (output("out", "A", "a1"),)
    late = _event(wanted_twice, "A", 8, type="late_success", detail={"output_id": "out"})
    late = _job(late, "a2", status="failed")
    assert _violated(_books(late, outputs=outputs)) == set()


def test_a_violation_names_the_asset_whose_chronicle_tells_more() -> None:
    stuck = _live(healthy())
    named = {v.asset_id for verdict in judge(stuck) for v in verdict.violations}
    assert named == {"B"}
