import pytest

from pipeline.domain.processing_step import Step, step_of
from pipeline.domain.states import Status


@pytest.mark.parametrize(
    ("submitted", "progress", "step"),
    [
        (False, None, Step.VERIFYING),
        (True, None, Step.WAITING),
        (True, 0.0, Step.WAITING),
        (True, 0.1, Step.ENCODING),
        (True, 99.9, Step.ENCODING),
        (True, 100.0, Step.CHECKING),
    ],
)
def test_the_step_follows_from_the_job_and_its_progress(
    submitted: bool, progress: float | None, step: Step
) -> None:
    assert step_of(Status.PROCESSING, submitted=submitted, progress=progress) is step


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PROCESSING}))
def test_outside_of_processing_there_is_no_step(status: Status) -> None:
    for submitted, progress in ((False, None), (True, 50.0), (True, 100.0)):
        assert step_of(status, submitted=submitted, progress=progress) is None
