"""The interruptions of a worker between two effects: it dies there, or the world moves on."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.crashing.boundary import Boundary
from tests.crashing.harness import observed

KILLED = 137
"""The exit code that a shell reports of a process that SIGKILL ended: 128 + 9."""


@contextmanager
def killed_at(boundary: Boundary) -> Iterator[None]:
    """End this process at the boundary as SIGKILL would, with nothing flushed or closed."""

    def kill(reached: Boundary) -> None:
        if reached is boundary:
            os._exit(KILLED)

    with observed(kill):
        yield


class Died(BaseException):
    """The worker was killed; no handler of ours may stop it."""


@contextmanager
def dying_at(boundary: Boundary) -> Iterator[None]:
    """Kill what this block runs when it comes to the boundary."""

    def die(reached: Boundary) -> None:
        if reached is boundary:
            raise Died

    try:
        with observed(die):
            yield
    except Died:
        return


@contextmanager
def meanwhile(boundary: Boundary, action: Callable[[], object]) -> Iterator[None]:
    """Let something happen when what this block runs first comes to the boundary."""
    pending = [action]

    def act(reached: Boundary) -> None:
        if reached is boundary and pending:
            pending.pop()()

    with observed(act):
        yield
    assert not pending, f"{boundary} was never reached"
