import pytest

from pipeline.domain.failures import FAILURES, failure_of, known_code
from pipeline.media.source_limits import Refusal


@pytest.mark.parametrize("code", sorted(FAILURES))
def test_every_failure_says_what_happened_and_what_to_do(code: str) -> None:
    failure = FAILURES[code]

    assert failure.sentence.endswith(".")
    assert failure.next_step.endswith(".")
    assert failure.message == f"{failure.sentence} {failure.next_step}"


def test_a_refused_source_is_not_retried() -> None:
    assert not any(f.retryable for f in FAILURES.values() if f.refuses_source)


def test_every_refusal_of_a_source_has_an_explanation() -> None:
    assert {refusal.value for refusal in Refusal} <= set(FAILURES)


def test_a_code_that_a_provider_invents_is_explained_all_the_same() -> None:
    assert known_code("E1999") == "provider_failed"
    assert known_code(None) == "provider_failed"
    assert failure_of("E1999") is FAILURES["provider_failed"]
