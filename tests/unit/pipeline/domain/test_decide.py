from dataclasses import replace
from itertools import product

import pytest

from pipeline.domain.decide import (
    FailAttempt,
    GateResult,
    Ignore,
    Publish,
    PublishPlayable,
    RecordProgress,
    RunGate,
    Situation,
    decide,
)
from pipeline.domain.states import Status, is_allowed
from pipeline.domain.values import Outputs, Phase, ProviderStatus

OUTPUTS = Outputs("m", "f", "p", "t", 1.0, 2, 2)


def situation(status: Status = Status.PROCESSING, **changes: object) -> Situation:
    facts = {
        "error_code": None,
        "deleted": False,
        "current_attempt": True,
        "current_generation": True,
        "purged": False,
    } | changes
    return Situation(status=status, **facts)  # type: ignore[arg-type]


def report(phase: Phase, **changes: object) -> ProviderStatus:
    outputs = OUTPUTS if phase is Phase.COMPLETED else None
    facts = {"provider_job_id": "j", "outputs": outputs, "retryable": True} | changes
    return ProviderStatus(phase=phase, **facts)  # type: ignore[arg-type]


def test_a_success_is_verified_before_it_is_published() -> None:
    assert decide(situation(), report(Phase.COMPLETED)) == RunGate()
    assert decide(situation(), report(Phase.COMPLETED), GateResult.PASSED) == Publish(late=False)


def test_a_rejected_success_fails_the_attempt_and_may_be_tried_again() -> None:
    decision = decide(situation(), report(Phase.COMPLETED), GateResult.REJECTED, "too short")

    assert decision == FailAttempt("output_rejected", "too short", retryable=True)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RETRYING, Status.FAILED])
def test_a_success_after_the_attempt_was_given_up_is_late(status: Status) -> None:
    assert decide(situation(status), report(Phase.COMPLETED), GateResult.PASSED) == Publish(
        late=True
    )


def test_progress_is_noted_for_the_current_attempt_only() -> None:
    running = report(Phase.RUNNING, progress=40.0)

    assert decide(situation(), running) == RecordProgress(40.0)
    assert decide(situation(current_attempt=False), running) == Ignore("old_attempt")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deleted": True}, "asset_deleted"),
        ({"status": Status.FAILED, "error_code": "cancelled"}, "asset_cancelled"),
        ({"current_generation": False}, "old_generation"),
        ({"status": Status.COMPLETED}, "already_completed"),
        ({"purged": True}, "purged"),
    ],
)
def test_nothing_counts_for_what_has_ended(changes: dict[str, object], reason: str) -> None:
    for phase, gate in product(Phase, [None, *GateResult]):
        assert decide(situation(**changes), report(phase), gate) == Ignore(reason)  # type: ignore[arg-type]


def test_every_decision_that_moves_an_asset_is_an_edge() -> None:
    """Exhaustively: no combination of facts asks for an edge that does not exist."""
    for status, phase, gate, current in product(Status, Phase, [None, *GateResult], [True, False]):
        decision = decide(situation(status, current_attempt=current), report(phase), gate)
        if isinstance(decision, Publish):
            assert is_allowed(status, Status.COMPLETED)
        if isinstance(decision, FailAttempt):
            assert status is Status.PROCESSING
            assert current


def test_an_unknown_code_of_the_provider_is_explained_as_its_failure() -> None:
    decision = decide(situation(), report(Phase.FAILED, error_code="E1999"))

    assert isinstance(decision, FailAttempt)
    assert decision.code == "provider_failed"


PARTIAL = replace(OUTPUTS, fallback_url=None)


@pytest.mark.parametrize("phase", [Phase.PLAYABLE, Phase.COMPLETED])
def test_a_manifest_that_plays_is_published_before_the_rest(phase: Phase) -> None:
    playable = report(phase, outputs=PARTIAL, progress=39.0)

    assert decide(situation(), playable) == RunGate()
    assert decide(situation(), playable, GateResult.PASSED) == PublishPlayable()
    assert decide(situation(published=True), playable) == RecordProgress(39.0)


def test_a_manifest_that_does_not_play_yet_ends_nothing() -> None:
    playable = report(Phase.PLAYABLE, outputs=PARTIAL, progress=39.0)

    assert decide(situation(), playable, GateResult.REJECTED, "no end") == RecordProgress(39.0)


def test_a_manifest_in_a_wrong_place_ends_the_attempt() -> None:
    decision = decide(
        situation(), report(Phase.PLAYABLE, outputs=PARTIAL), GateResult.MISPLACED, "leads away"
    )

    assert decision == FailAttempt("output_misplaced", "leads away", retryable=False)


def test_only_a_whole_success_of_an_old_attempt_counts() -> None:
    old = situation(Status.RETRYING, current_attempt=False)

    assert decide(old, report(Phase.PLAYABLE, outputs=PARTIAL)) == Ignore("old_attempt")
    assert decide(old, report(Phase.COMPLETED), GateResult.PASSED) == Publish(late=True)
