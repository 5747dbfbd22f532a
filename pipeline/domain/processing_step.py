"""What is going on inside ``processing``, for a page to say. Detail, never state."""

from enum import StrEnum

from pipeline.domain.states import Status

DONE_PERCENT = 100


class Step(StrEnum):
    """Where a video in ``processing`` is."""

    VERIFYING = "verifying"
    """In our hands: the source is being measured and handed over."""
    WAITING = "waiting"
    """A provider has accepted it and has not begun."""
    ENCODING = "encoding"
    """The provider reports progress."""
    CHECKING = "checking"
    """All of it is encoded; the outputs are being looked at before they are published."""


def step_of(status: Status, *, submitted: bool, progress: float | None) -> Step | None:
    """Derive the step from what the row holds; None outside of ``processing``.

    A claim forgets the job and the progress of the attempt before, so none of an earlier attempt's
    shows. A lapsed lease changes nothing: the step is what the next claim goes on with.

    Args:
        submitted: Whether the provider has named its job.
        progress: Percent done, 0 to 100; None before the first report.
    """
    if status is not Status.PROCESSING:
        return None
    if not submitted:
        return Step.VERIFYING
    if not progress:
        return Step.WAITING
    return Step.CHECKING if progress >= DONE_PERCENT else Step.ENCODING
