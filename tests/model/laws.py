"""The laws that the lease model shows, and the rules without which it breaks them."""

from collections.abc import Callable, Mapping

from tests.laws.law import Law
from tests.model.lease import Rules, State

Check = Callable[[State], bool]


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


CHECKS: Mapping[Law, Check] = {
    Law.ONE_JOB_PER_ATTEMPT: an_attempt_makes_one_job_at_most,
    Law.HOLDERS_WRITE_ALONE: nothing_is_written_by_a_stale_token,
    Law.ONE_ATTEMPT_UNDER_WAY: one_attempt_is_under_way,
    Law.CALLBACKS_COUNT_ONCE: a_callback_counts_once,
    Law.PUBLISHED_STAYS: what_is_published_is_not_given_up,
}
AT_REST = (Law.ALL_ENDS, Law.NO_ORPHANS, Law.RELEASES_ARE_PAID, Law.CALLBACKS_ARE_SETTLED)
"""The laws of ``is_at_rest``, to which every state has a way."""

LEFT_OUT = (
    (Rules(guard=False), Law.HOLDERS_WRITE_ALONE),
    (Rules(guard=False), Law.ONE_JOB_PER_ATTEMPT),
    (Rules(nonce=False), Law.CALLBACKS_COUNT_ONCE),
    (Rules(intent=False), Law.ONE_JOB_PER_ATTEMPT),
)
"""Each rule that is left out, and a law that is broken without it."""


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
