"""The checks of the laws that rows and the provider's books show."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from tests.laws import assets, chronicle, inbox, jobs
from tests.laws.books import Books
from tests.laws.finding import Finding
from tests.laws.law import Law

Facts = TypeVar("Facts")
Check = Callable[[Facts], Finding]
Checks = Mapping[Law, tuple[Check[Facts], ...]]

ALWAYS: Checks[Books] = {
    Law.ONE_JOB_PER_ATTEMPT: (jobs.every_job_was_intended,),
    Law.ONE_ATTEMPT_UNDER_WAY: (jobs.one_attempt_is_under_way, jobs.released_before_the_next),
    Law.NO_ORPHANS: (jobs.none_orphaned,),
    Law.CALLBACKS_COUNT_ONCE: (inbox.callbacks_count_once,),
    Law.ENDED_STAYS_ENDED: (chronicle.ended_stays_ended,),
    Law.TOKENS_RISE: (chronicle.tokens_are_accounted_for,),
    Law.HOLDERS_WRITE_ALONE: (chronicle.holders_write_alone,),
    Law.LIVE_HAS_DEADLINE: (assets.live_has_deadline,),
    Law.BUDGETS_HOLD: (assets.budgets_hold,),
    Law.COMPLETED_IS_PLAYABLE: (assets.completed_is_playable,),
    Law.PUBLISHED_STAYS: (assets.published_stays,),
    Law.NUMBERED_WITHOUT_GAP: (chronicle.numbered_without_gap,),
    Law.HISTORY_IS_LEGAL: (chronicle.history_is_legal,),
}
"""These hold after every step of every use case, whichever process crashed."""

AT_REST: Checks[Books] = {
    Law.ALL_ENDS: (assets.all_have_ended,),
    Law.CALLBACKS_ARE_SETTLED: (inbox.all_are_settled,),
    Law.RELEASES_ARE_PAID: (jobs.owed_releases_are_paid,),
}
"""These hold as well once nothing is due any more."""


def findings(facts: Facts, checks: Checks[Facts]) -> Mapping[Law, Finding]:
    """Make these checks, and return the result for each law."""
    return merged(*({law: check(facts)} for law, of_law in checks.items() for check in of_law))


def merged(*found: Mapping[Law, Finding]) -> Mapping[Law, Finding]:
    """Return one result for each law out of several."""
    whole: dict[Law, Finding] = {}
    for part in found:
        for law, finding in part.items():
            of_law = whole.setdefault(law, Finding())
            of_law.checked += finding.checked
            of_law.violations += finding.violations
    return whole
