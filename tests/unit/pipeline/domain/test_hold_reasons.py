import pytest

from pipeline.domain.failures import FAILURES
from pipeline.domain.hold_reasons import HOLDS, sentence_of


@pytest.mark.parametrize("reason", sorted(HOLDS))
def test_every_reason_of_ours_says_what_is_waited_for_and_what_ends_it(reason: str) -> None:
    assert reason not in FAILURES  # where the same word would mean something else
    assert sentence_of(reason) == HOLDS[reason]
    assert HOLDS[reason].count(". ") == 1
    assert HOLDS[reason].endswith(".")


def test_a_provider_that_would_not_take_the_job_is_explained_by_its_code() -> None:
    assert sentence_of("insufficient_space") == FAILURES["insufficient_space"].message
    assert sentence_of("E1999") == FAILURES["provider_failed"].message
