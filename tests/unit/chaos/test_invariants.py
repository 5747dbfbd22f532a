"""Each invariant sees its violation; a run in which all is well, violates none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.clients import Deed
from tests.chaos.evidence import DeliveryRow, Evidence, JobEntry, OutputRow
from tests.chaos.invariants import INVARIANTS, judge
from tests.unit.chaos.healthy import altered, at, healthy

Plant = Callable[[Evidence], Evidence]


def _event(evidence: Evidence, asset_id: str, seq: int, **changes: object) -> Evidence:
    events = altered(
        evidence.events, lambda event: (event.asset_id, event.seq) == (asset_id, seq), **changes
    )
    return replace(evidence, events=events)


def _asset(evidence: Evidence, id_: str, **changes: object) -> Evidence:
    return replace(evidence, assets=altered(evidence.assets, lambda row: row.id == id_, **changes))


def _attempt(evidence: Evidence, id_: str, **changes: object) -> Evidence:
    return replace(
        evidence, attempts=altered(evidence.attempts, lambda row: row.id == id_, **changes)
    )


def _job(evidence: Evidence, id_: str, **changes: object) -> Evidence:
    return replace(evidence, jobs=altered(evidence.jobs, lambda row: row.id == id_, **changes))


def _sent(evidence: Evidence, event_id: str, manner: str, **changes: object) -> Evidence:
    sent = altered(
        evidence.sent, lambda row: (row.event_id, row.manner) == (event_id, manner), **changes
    )
    return replace(evidence, sent=sent)


def _delivery(evidence: Evidence, event_id: str, **changes: object) -> Evidence:
    deliveries = altered(evidence.deliveries, lambda row: row.event_id == event_id, **changes)
    return replace(evidence, deliveries=deliveries)


def _stale_ending(evidence: Evidence) -> Evidence:
    """The holder that was taken over writes its own ending after the new holder's."""
    late = replace(evidence.events[6], seq=10)
    return _asset(replace(evidence, events=(*evidence.events, late)), "A", last_seq=10)


PLANTS: list[tuple[str, str, Plant]] = [
    (
        "every acknowledged create exists, once",
        "an acknowledged asset is not there",
        lambda e: replace(e, assets=e.assets[1:]),
    ),
    (
        "every acknowledged create exists, once",
        "a create made two assets",
        lambda e: replace(e, assets=(*e.assets, replace(e.assets[1], id="B2"))),
    ),
    (
        "every asset reached a terminal state",
        "an asset is processing for ever",
        lambda e: _asset(e, "B", status="processing"),
    ),
    (
        "what completed is published and passed the gate",
        "a completed asset publishes nothing",
        lambda e: _asset(e, "A", published_output_id=None),
    ),
    (
        "what completed is published and passed the gate",
        "two outputs are published at once",
        lambda e: replace(e, outputs=(*e.outputs, OutputRow("more", "A", "a1", at(9), None))),
    ),
    (
        "what completed is published and passed the gate",
        "an unplayable output was published",
        lambda e: _job(e, "a2", playable=False),
    ),
    (
        "every acknowledged deed of an owner is in the chronicle",
        "an acknowledged cancel left no event",
        lambda e: _event(e, "B", 4, type="failed"),
    ),
    (
        "every acknowledged deed of an owner is in the chronicle",
        "one cancel took effect twice",
        lambda e: _event(e, "B", 5, type="cancelled"),
    ),
    (
        "recovered within the stated bound",
        "an asset took longer than the bound",
        lambda e: replace(e, recovery_sec=1.0),
    ),
    (
        "at most one provider job per attempt",
        "a job was submitted before its intent",
        lambda e: _attempt(e, "a1", intended_at=None),
    ),
    (
        "at most one provider job per attempt",
        "a job is no attempt's",
        lambda e: replace(
            e, jobs=(*e.jobs, JobEntry("zz", "failed", at(1), at(2), None, playable=False))
        ),
    ),
    (
        "at most one provider job per attempt",
        "a job was submitted with two bodies",
        lambda e: replace(e, other_bodies=("a1",)),
    ),
    (
        "at most one provider job per attempt",
        "two attempts have one number",
        lambda e: _attempt(e, "a2", number=1),
    ),
    (
        "earlier job released before the next is submitted",
        "two jobs of an asset were wanted at once",
        lambda e: _job(e, "a1", finished_at=at(9)),
    ),
    (
        "no provider job is orphaned",
        "a cancelled asset's job runs on",
        lambda e: _job(e, "b1", status="running", finished_at=None, deleted_at=None),
    ),
    (
        "no provider job is orphaned",
        "an old attempt's job completed unseen",
        lambda e: _job(e, "a1", status="completed"),
    ),
    (
        "no provider job is orphaned",
        "a deleted asset's output stays at the provider",
        lambda e: _job(e, "c1", status="completed"),
    ),
    (
        "every release owed to the provider is paid",
        "a release was never made",
        lambda e: _attempt(e, "b1", released_at=None),
    ),
    (
        "seq is gap-free, time runs forward",
        "an event is missing",
        lambda e: replace(e, events=(*e.events[:2], *e.events[3:])),
    ),
    (
        "seq is gap-free, time runs forward",
        "the last event is missing",
        lambda e: _asset(e, "A", last_seq=10),
    ),
    (
        "seq is gap-free, time runs forward",
        "an event is older than the one before",
        lambda e: _event(e, "A", 5, created_at=at(0)),
    ),
    (
        "status history is legal and chained",
        "an edge that does not exist was taken",
        lambda e: _event(_event(e, "B", 2, to_status="retrying"), "B", 4, from_status="retrying"),
    ),
    (
        "status history is legal and chained",
        "a status was changed without an event",
        lambda e: _event(e, "A", 8, from_status="retrying"),
    ),
    (
        "status history is legal and chained",
        "the row is not where its chronicle ends",
        lambda e: _asset(e, "B", status="completed"),
    ),
    (
        "status history is legal and chained",
        "an attempt was counted twice",
        lambda e: _event(e, "A", 5, attempt=1),
    ),
    (
        "every rise of the lease token has its event",
        "a token rose without a word",
        lambda e: _asset(e, "A", lease_token=6),
    ),
    (
        "every rise of the lease token has its event",
        "a write did not raise the token",
        lambda e: _asset(e, "B", lease_token=1),
    ),
    ("no write by a stale token", "a stale holder ended the attempt after its end", _stale_ending),
    (
        "no write by a stale token",
        "a stale holder wrote while another held it",
        lambda e: _event(e, "A", 6, type="submitted"),
    ),
    (
        "no write by a stale token",
        "a worker wrote after the asset had been cancelled",
        lambda e: _event(e, "B", 5, type="submitted"),
    ),
    (
        "no write by a stale token",
        "a worker wrote of an old attempt",
        lambda e: _event(e, "A", 7, attempt=1),
    ),
    (
        "every callback answered 202 is in the inbox",
        "an acknowledged callback is not stored",
        lambda e: replace(e, deliveries=e.deliveries[1:]),
    ),
    (
        "every callback answered 202 is in the inbox",
        "a callback is stored twice",
        lambda e: replace(e, deliveries=(*e.deliveries, e.deliveries[0])),
    ),
    (
        "every callback answered 202 is in the inbox",
        "the stored bytes are not those acknowledged",
        lambda e: _delivery(e, "end-a1", body_sha256="other"),
    ),
    (
        "every stored callback is settled",
        "a callback is left unread",
        lambda e: _delivery(e, "end-a1", status="new"),
    ),
    (
        "no callback is applied twice",
        "a callback took effect twice",
        lambda e: _event(e, "A", 8, provider_event_id="end-a1"),
    ),
    (
        "no callback is applied twice",
        "an applied callback had no effect",
        lambda e: _event(e, "C", 4, provider_event_id=None),
    ),
    (
        "no callback is applied twice",
        "an ignored callback left no record",
        lambda e: _event(e, "A", 9, provider_event_id=None),
    ),
    (
        "repetitions are answered 200",
        "a repetition was stored again",
        lambda e: _sent(e, "end-a2", "genuine", answers=(202, 202), results=("stored", "stored")),
    ),
    (
        "repetitions are answered 200",
        "a conflicting body was taken",
        lambda e: _sent(e, "end-a2", "conflicting", answers=(202,), results=("stored",)),
    ),
    (
        "repetitions are answered 200",
        "a genuine callback was refused",
        lambda e: _sent(e, "end-a1", "genuine", answers=(401,), results=("signature_invalid",)),
    ),
    (
        "forged and stale callbacks never get in",
        "a forged callback was acknowledged",
        lambda e: _sent(e, "forged-a2", "forged", answers=(202,)),
    ),
    (
        "forged and stale callbacks never get in",
        "a stale callback was stored",
        lambda e: replace(
            e, deliveries=(*e.deliveries, DeliveryRow("stale-a2", "z", "ignored", None, None))
        ),
    ),
]


def _violated(evidence: Evidence) -> set[str]:
    return {verdict.name for verdict in judge(evidence) if verdict.violations}


def test_a_run_in_which_every_promise_held_violates_nothing() -> None:
    assert _violated(healthy()) == set()


def test_every_invariant_looks_at_something_in_that_run() -> None:
    assert all(verdict.checked for verdict in judge(healthy()))


@pytest.mark.parametrize(("invariant", "plant"), [(name, plant) for name, _, plant in PLANTS],
                         ids=[what for _, what, _ in PLANTS])  # fmt: skip
def test_an_invariant_sees_its_violation(invariant: str, plant: Plant) -> None:
    assert invariant in _violated(plant(healthy()))


def test_every_invariant_has_a_planted_violation() -> None:
    assert {name for name, _, _ in PLANTS} == set(INVARIANTS)


def test_a_deed_that_was_never_answered_may_or_may_not_have_happened() -> None:
    evidence = healthy()
    unheard = replace(evidence, deeds=(*evidence.deeds, Deed("cancel", "post-B", "B", None)))
    assert _violated(unheard) == set()


def test_an_earlier_job_that_was_published_late_is_no_longer_owed_its_release() -> None:
    """Attempt 1 was given up, attempt 2 submitted, then attempt 1 completed and was published."""
    wanted_twice = _job(healthy(), "a1", status="completed", finished_at=at(9), playable=True)
    assert _violated(wanted_twice) >= {"earlier job released before the next is submitted"}
    outputs = (OutputRow("out", "A", "a1", at(20), None),)
    late = _event(wanted_twice, "A", 8, type="late_success", detail={"output_id": "out"})
    late = _job(late, "a2", status="failed")
    assert _violated(replace(late, outputs=outputs)) == set()


def test_a_violation_names_the_asset_whose_chronicle_tells_more() -> None:
    stuck = _asset(healthy(), "B", status="processing")
    named = {v.asset_id for verdict in judge(stuck) for v in verdict.violations}
    assert named == {"B"}
