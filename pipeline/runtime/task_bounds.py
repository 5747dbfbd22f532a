"""The bounds of the task that a process runs, as far as a use case may know them."""

from collections.abc import Callable
from dataclasses import dataclass


def _never() -> bool:
    return False


def _without_end() -> None:
    pass


@dataclass(frozen=True)
class TaskBounds:
    """The end of a task. Without a process of tasks it has none.

    Attributes:
        is_stopping: Tells that the process was told to stop.
        prolong: Begins the time of the task anew, because it has got on.
    """

    is_stopping: Callable[[], bool] = _never
    prolong: Callable[[], None] = _without_end
