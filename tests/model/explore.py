"""Visit every state a system can reach, breadth first."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

S = TypeVar("S")


@dataclass
class Explored(Generic[S]):
    """Every state, how it was first reached, and where it leads."""

    parents: dict[S, tuple[S, str] | None] = field(default_factory=dict)
    successors: dict[S, list[S]] = field(default_factory=dict)

    def path_to(self, state: S) -> list[str]:
        """The names of the steps of a shortest way there."""
        names: list[str] = []
        while (parent := self.parents[state]) is not None:
            state, name = parent
            names.append(name)
        return names[::-1]

    def can_reach(self, goals: set[S]) -> set[S]:
        """Every state from which some way leads to a goal."""
        predecessors: dict[S, list[S]] = {state: [] for state in self.parents}
        for state, successors in self.successors.items():
            for after in successors:
                predecessors[after].append(state)
        reached, queue = set(goals), deque(goals)
        while queue:
            for before in predecessors[queue.popleft()]:
                if before not in reached:
                    reached.add(before)
                    queue.append(before)
        return reached


def explore(
    start: S,
    steps: Callable[[S], Iterable[tuple[str, S]]],
    *,
    until: Callable[[S], bool] = lambda _: False,
) -> Explored[S]:
    """Visit every state that ``steps`` lead to from ``start``, or the first that is ``until``."""
    explored = Explored[S](parents={start: None})
    queue = deque([start])
    while queue:
        state = queue.popleft()
        explored.successors[state] = []
        for name, after in steps(state):
            explored.successors[state].append(after)
            if after not in explored.parents:
                explored.parents[after] = (state, name)
                queue.append(after)
                if until(after):
                    return explored
    return explored
