"""Visits every state a system can reach, breadth first."""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass
class Explored(Generic[S]):
    """Every state, how it was first reached, and the states that lead to it.

    States are numbered in the order they were found, the start being 0: a state is then hashed
    once for each step to it, and everything else works on numbers.
    """

    states: list[S]
    numbers: dict[S, int]
    first_steps: list[tuple[int, str]] = field(default_factory=lambda: [(-1, "")])
    predecessors: list[list[int]] = field(default_factory=lambda: [[]])

    def add(self, state: S, before: int, name: str) -> bool:
        """Note the step; return whether its state was unknown."""
        number = self.numbers.setdefault(state, len(self.states))
        if number < len(self.states):
            self.predecessors[number].append(before)
            return False
        self.states.append(state)
        self.first_steps.append((before, name))
        self.predecessors.append([before])
        return True

    def path_to(self, state: S) -> list[str]:
        """Return the names of the steps of a shortest way there."""
        names: list[str] = []
        number = self.numbers[state]
        while number:
            number, name = self.first_steps[number]
            names.append(name)
        return names[::-1]

    def cannot_reach(self, is_goal: Callable[[S], bool]) -> list[S]:
        """Return every state from which no way leads to a goal."""
        reached = [is_goal(state) for state in self.states]
        queue = deque(number for number, is_reached in enumerate(reached) if is_reached)
        while queue:
            for before in self.predecessors[queue.popleft()]:
                if not reached[before]:
                    reached[before] = True
                    queue.append(before)
        return [state for state, found in zip(self.states, reached, strict=True) if not found]


def explore(
    start: S,
    steps: Callable[[S], Iterable[tuple[str, S]]],
    *,
    until: Callable[[S], bool] = lambda _: False,
) -> Explored[S]:
    """Visit every state that ``steps`` lead to from ``start``, or the first that is ``until``."""
    explored = Explored(states=[start], numbers={start: 0})
    with _collector_off():
        for number, state in enumerate(explored.states):  # which grows meanwhile
            for name, after in steps(state):
                if explored.add(after, number, name) and until(after):
                    return explored
    return explored


@contextmanager
def _collector_off() -> Iterator[None]:
    """Keep the garbage collector from walking all states again and again: none is in a cycle."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
