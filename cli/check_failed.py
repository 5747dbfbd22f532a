"""The exception that a check of `khronika doctor` raises."""


class CheckFailed(Exception):
    """A problem that a check found.

    Attributes:
        next_step: The action that solves it.
    """

    def __init__(self, detail: str, next_step: str) -> None:
        super().__init__(detail)
        self.next_step = next_step
