"""The choice of an account: capabilities, states and failures, without a database."""

from dataclasses import replace

import pytest

from pipeline.domain.routing import (
    FAILURES_BEFORE_ANOTHER,
    MOST_LIES,
    AccountState,
    Candidate,
    Needs,
    PassedOver,
    reason_against,
    route,
    trial_jobs,
)
from pipeline.domain.values import Profile, SourceFacts

SOURCE = SourceFacts(duration_sec=60, width=1920, height=1080, container="mp4", size_bytes=10_000)
NEEDS = Needs(SOURCE, signed=False, cap=None)
A, B = Candidate("a"), Candidate("b")

AGAINST = {
    "disabled": (NEEDS, replace(A, state=AccountState.DISABLED), PassedOver.DISABLED),
    "draining": (NEEDS, replace(A, state=AccountState.DRAIN), PassedOver.DRAINING),
    "refused": (NEEDS, replace(A, problem=True), PassedOver.ACCOUNT_PROBLEM),
    "paused": (NEEDS, replace(A, paused_sec=1.0), PassedOver.PAUSED),
    "full": (NEEDS, replace(A, max_jobs=2, jobs=2), PassedOver.FULL),
    "lying": (NEEDS, replace(A, lies=MOST_LIES, on_probation=True), PassedOver.SUSPECT),
    "failing": (NEEDS, replace(A, failures=FAILURES_BEFORE_ANOTHER), PassedOver.FAILED_HERE),
    "refusing": (NEEDS, replace(A, refused_for_good=True), PassedOver.FAILED_HERE),
    "too long": (NEEDS, replace(A, max_duration_sec=59), PassedOver.TOO_LONG),
    "too large": (NEEDS, replace(A, max_bytes=9_999), PassedOver.TOO_LARGE),
    "container": (NEEDS, replace(A, containers=frozenset({"webm"})), PassedOver.CONTAINER),
    "playback": (replace(NEEDS, signed=True), A, PassedOver.PLAYBACK),
    "cap": (replace(NEEDS, cap=Profile.P720), A, PassedOver.CAP),
}


@pytest.mark.parametrize(("needs", "account", "reason"), AGAINST.values(), ids=AGAINST.keys())
def test_an_account_is_passed_over_for_its_reason_and_the_next_one_taken(
    needs: Needs, account: Candidate, reason: PassedOver
) -> None:
    able = replace(B, signed_playback=True, caps=frozenset(Profile))

    found = route(needs, [account, able])

    assert found.names == ("b",)
    assert found.passed_over == {"a": reason}


def test_the_operators_order_decides_between_accounts_that_can() -> None:
    assert route(NEEDS, [A, B]).names == ("a", "b")
    assert route(NEEDS, [B, A]).names == ("b", "a")


@pytest.mark.parametrize("cap", [Profile.P1080, Profile.P2160])
def test_a_source_that_is_no_larger_than_the_cap_needs_no_cap(cap: Profile) -> None:
    assert reason_against(replace(NEEDS, cap=cap), A) is None


def test_before_the_source_is_measured_no_account_is_too_small() -> None:
    small = replace(A, max_duration_sec=1, max_bytes=1, containers=frozenset({"webm"}))

    assert reason_against(Needs(None, signed=False, cap=Profile.P240), small) is None


def test_an_asset_that_failed_everywhere_goes_on_while_its_budget_lasts() -> None:
    tired = [replace(each, failures=FAILURES_BEFORE_ANOTHER) for each in (A, B)]

    assert route(NEEDS, tired).names == ("a", "b")


def test_an_account_that_repeats_its_refusal_is_not_tried_again() -> None:
    refusing = replace(A, refused_for_good=True)

    assert route(NEEDS, [refusing]).names == ()


@pytest.mark.parametrize("lies", [MOST_LIES, 100])
def test_the_only_account_is_not_given_up_for_outputs_that_the_gate_rejected(lies: int) -> None:
    liar = replace(A, lies=lies, on_probation=True)

    assert route(NEEDS, [liar]).names == ("a",)
    assert route(NEEDS, [liar, replace(B, problem=True)]).names == ("a",)


def test_an_account_that_lied_gets_few_jobs_at_once_until_it_tells_the_truth() -> None:
    suspect = replace(A, lies=1, on_probation=True)

    assert route(NEEDS, [replace(suspect, trials=MOST_LIES - 2), B]).names == ("a", "b")
    assert route(NEEDS, [replace(suspect, trials=MOST_LIES - 1), B]).names == ("b",)


@pytest.mark.parametrize("lies", range(MOST_LIES + 2))
def test_however_few_accounts_are_left_a_suspect_gets_few_jobs_at_once(lies: int) -> None:
    suspect = replace(A, lies=lies, on_probation=True)

    found = route(NEEDS, [replace(suspect, trials=trial_jobs(lies))])

    assert (found.names, found.passed_over) == ((), {"a": PassedOver.ON_TRIAL})
    assert route(NEEDS, [replace(suspect, trials=trial_jobs(lies) - 1)]).names == ("a",)
    assert lies + trial_jobs(lies) <= max(MOST_LIES, lies + 1)


def test_a_suspect_is_not_preferred_to_an_account_that_has_no_room_for_the_moment() -> None:
    liar = replace(A, lies=MOST_LIES, on_probation=True)

    on_trial = replace(B, on_probation=True, trials=MOST_LIES)
    for busy in (replace(B, paused_sec=1.0), replace(B, max_jobs=1, jobs=1), on_trial):
        assert route(NEEDS, [liar, busy]).names == ()


def test_of_doubtful_accounts_those_that_lied_least_are_tried_and_no_other() -> None:
    liar = replace(A, lies=MOST_LIES, on_probation=True)
    failing = replace(B, failures=FAILURES_BEFORE_ANOTHER)

    assert route(NEEDS, [liar, failing]).names == ("b",)
    assert route(NEEDS, [liar, failing, replace(failing, name="c")]).names == ("b", "c")


def test_an_account_back_from_an_outage_gets_few_jobs_until_one_is_good() -> None:
    back = replace(A, on_probation=True, jobs=100)

    assert route(NEEDS, [replace(back, trials=MOST_LIES - 1), B]).names == ("a", "b")
    assert route(NEEDS, [replace(back, trials=MOST_LIES), B]).names == ("b",)
    assert route(NEEDS, [replace(A, jobs=MOST_LIES), B]).names == ("a", "b")


def test_a_wanted_account_gets_the_job_alone() -> None:
    found = route(replace(NEEDS, wanted="b"), [A, B])

    assert found.names == ("b",)
    assert found.passed_over == {"a": PassedOver.NOT_WANTED}


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (replace(B, paused_sec=1.0), PassedOver.PAUSED),
        (replace(B, max_jobs=1, jobs=1), PassedOver.FULL),
        (replace(B, problem=True), PassedOver.ACCOUNT_PROBLEM),
        (replace(B, lies=MOST_LIES, on_probation=True), PassedOver.SUSPECT),
    ],
    ids=["paused", "full", "refused", "suspect"],
)
def test_an_asset_waits_for_the_wanted_account(account: Candidate, reason: PassedOver) -> None:
    found = route(replace(NEEDS, wanted="b"), [A, account])

    assert found.names == ()
    assert found.passed_over == {"a": PassedOver.NOT_WANTED, "b": reason}


@pytest.mark.parametrize(
    "account",
    [
        replace(B, state=AccountState.DISABLED),
        replace(B, state=AccountState.DRAIN),
        replace(B, max_duration_sec=59),
        replace(B, failures=FAILURES_BEFORE_ANOTHER),
        Candidate("c"),
    ],
    ids=["disabled", "draining", "unable", "failed there", "not configured"],
)
def test_a_wish_that_cannot_come_true_is_dropped(account: Candidate) -> None:
    assert route(replace(NEEDS, wanted="b"), [A, account]).names[0] == "a"
