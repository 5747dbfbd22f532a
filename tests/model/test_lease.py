"""The laws hold in every state of the lease protocol, and none of its rules can be spared."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.model.explore import Explored, explore
from tests.model.lease import Rules, State, steps

Law = Callable[[State], bool]


def an_attempt_makes_one_job_at_most(state: State) -> bool:
    return all(job.posts <= 1 for job in state.jobs)


def nothing_is_written_by_a_stale_token(state: State) -> bool:
    return not state.stale_write


def one_attempt_is_under_way(state: State) -> bool:
    under_way = [
        index
        for index, job in enumerate(state.jobs)
        if job.intended and job.outcome in {"open", "accepted"} and job.debt == "none"
    ]
    return len([index for index in under_way if index != state.published]) <= 1


def a_callback_counts_once(state: State) -> bool:
    return all(job.effects <= 1 for job in state.jobs)


def what_is_published_is_not_given_up(state: State) -> bool:
    return state.published < 0 or state.jobs[state.published].debt != "owed"


LAWS: tuple[Law, ...] = (
    an_attempt_makes_one_job_at_most,
    nothing_is_written_by_a_stale_token,
    one_attempt_is_under_way,
    a_callback_counts_once,
    what_is_published_is_not_given_up,
)


def is_at_rest(state: State) -> bool:
    """Ended, and the provider has nothing of it but what is published."""
    return (
        state.status in {"completed", "failed", "cancelled"}
        and all(worker.phase == "idle" for worker in state.workers)
        and all(
            not job.flying
            and job.debt != "owed"
            and job.inbox != "new"
            and (not job.alive or index == state.published)
            for index, job in enumerate(state.jobs)
        )
    )


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
    ("rules", "law"),
    [
        (Rules(guard=False), nothing_is_written_by_a_stale_token),
        (Rules(guard=False), an_attempt_makes_one_job_at_most),
        (Rules(nonce=False), a_callback_counts_once),
        (Rules(intent=False), an_attempt_makes_one_job_at_most),
    ],
    ids=lambda given: getattr(given, "__name__", str(given)),
)
def test_a_rule_that_is_left_out_is_missed(rules: Rules, law: Law) -> None:
    explored = explore(State(), partial(steps, rules), until=lambda state: not law(state))

    assert law.__name__ in dict(broken(explored))


def broken(explored: Explored[State]) -> Iterator[tuple[str, list[str]]]:
    """Each law that is broken somewhere, with the shortest way there."""
    for law in LAWS:
        for state in explored.states:
            if not law(state):
                yield law.__name__, explored.path_to(state)
                break
