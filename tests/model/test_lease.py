"""The laws hold in every state of the lease protocol, and none of its rules can be spared."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.laws.law import Law
from tests.model.explore import Explored, explore
from tests.model.laws import CHECKS, LEFT_OUT, is_at_rest
from tests.model.lease import Rules, State, steps


@pytest.fixture(scope="module")
def explored() -> Explored[State]:
    return explore(State(), partial(steps, Rules()))


def test_every_law_holds_in_every_state(explored: Explored[State]) -> None:
    assert len(explored.states) > 10_000, "the model has become too small to say anything"

    assert dict(broken(explored)) == {}


def test_every_state_can_come_to_rest(explored: Explored[State]) -> None:
    ends = {state.status for state in explored.states if is_at_rest(state)}
    assert ends == {"completed", "failed", "cancelled"}

    stuck = explored.cannot_reach(is_at_rest)

    assert not stuck, explored.path_to(stuck[0])


@pytest.mark.parametrize(
    ("rules", "law"), LEFT_OUT, ids=lambda given: getattr(given, "name", str(given))
)
def test_a_rule_that_is_left_out_is_missed(rules: Rules, law: Law) -> None:
    holds = CHECKS[law]
    explored = explore(State(), partial(steps, rules), until=lambda state: not holds(state))

    assert law in dict(broken(explored))


def broken(explored: Explored[State]) -> Iterator[tuple[Law, list[str]]]:
    """Each law that is broken somewhere, with the shortest way there."""
    for law, holds in CHECKS.items():
        for state in explored.states:
            if not holds(state):
                yield law, explored.path_to(state)
                break
