"""Steps inside ``processing``, for a page to show. They are derived and never stored."""

from enum import StrEnum

from pipeline.domain.states import Status

DONE_PERCENT = 100


class Step(StrEnum):
    """Step of a video in ``processing``."""

    VERIFYING = "verifying"
    """A worker measures the source and submits it."""
    WAITING = "waiting"
    """A provider has accepted the video and has not begun."""
    ENCODING = "encoding"
    """The provider reports progress."""
    CHECKING = "checking"
    """The video is encoded; the gate checks the outputs before they are published."""


def step_of(status: Status, *, submitted: bool, progress: float | None) -> Step | None:
    """Derive the step from the row; None outside of ``processing``.

    A claim clears the job and the progress of the attempt before, so the step never shows them. A
    lapsed lease does not change the step: the next claim continues with it.

    Args:
        submitted: True if the provider has named its job.
        progress: Percent done, 0 to 100; None before the first report.
    """
    if status is not Status.PROCESSING:
        return None
    if not submitted:
        return Step.VERIFYING
    if not progress:
        return Step.WAITING
    return Step.CHECKING if progress >= DONE_PERCENT else Step.ENCODING
