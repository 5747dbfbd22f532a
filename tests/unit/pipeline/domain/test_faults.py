import pytest

from pipeline.domain.failures import FAILURES
from pipeline.domain.faults import Fault, waits

PASSING = sorted(
    code
    for code, failure in FAILURES.items()
    if failure.fault in {Fault.NETWORK, Fault.HOST, Fault.STORAGE}
)


@pytest.mark.parametrize("code", sorted(FAILURES))
def test_nothing_that_happens_before_a_job_is_taken_spends_a_failure(code: str) -> None:
    assert waits(FAILURES[code].fault, retryable=True, took_job=False, bills=True)


@pytest.mark.parametrize("code", PASSING)
def test_a_passing_trouble_spends_nothing_where_failed_jobs_cost_nothing(code: str) -> None:
    assert waits(FAILURES[code].fault, retryable=True, took_job=True, bills=False)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_vendor_is_not_paid_again_and_again(fault: Fault) -> None:
    assert not waits(fault, retryable=True, took_job=True, bills=True)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_failure_that_would_repeat_itself_never_waits(fault: Fault) -> None:
    assert not waits(fault, retryable=False, took_job=False, bills=False)


def test_only_the_source_or_its_owner_ends_a_video_for_good() -> None:
    ended = {code for code, failure in FAILURES.items() if not failure.retryable}

    assert {FAILURES[code].fault for code in ended - {"playback_unsupported"}} == {Fault.SOURCE}
