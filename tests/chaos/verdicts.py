"""The verdict on a run: every law that its evidence can show, by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos import callback_checks, client_checks, provider_checks
from tests.chaos.client_checks import recovery_sec
from tests.chaos.evidence import Evidence
from tests.laws.checks import ALWAYS, AT_REST, Checks, findings, merged
from tests.laws.finding import Violation
from tests.laws.law import Law

__all__ = ["JUDGED", "Verdict", "judge", "recovery_sec"]

BY_EVIDENCE: Checks[Evidence] = {
    Law.CREATES_EXIST_ONCE: (client_checks.acknowledged_creates_exist_once,),
    Law.DEEDS_ARE_RECORDED: (client_checks.deeds_are_recorded,),
    Law.LIARS_GET_FEW_JOBS: (provider_checks.liars_get_few_jobs,),
    Law.RECOVERED_IN_TIME: (client_checks.recovered_in_time,),
    Law.ONE_JOB_PER_ATTEMPT: (client_checks.one_body_per_job,),
    Law.CALLBACKS_ARE_STORED: (callback_checks.acknowledged_are_stored,),
    Law.CALLBACKS_COUNT_ONCE: (callback_checks.applied_once,),
    Law.REPETITIONS_ARE_RECOGNISED: (callback_checks.repetitions_are_recognised,),
    Law.FORGERIES_STAY_OUT: (callback_checks.forgeries_stay_out,),
}
"""The checks that need more than the rows: the clients' log and the sender's books."""

JUDGED = frozenset({*ALWAYS, *AT_REST, *BY_EVIDENCE})


@dataclass(frozen=True)
class Verdict:
    """The result for one law."""

    law: Law
    checked: int
    violations: Sequence[Violation]


def judge(evidence: Evidence) -> list[Verdict]:
    """Hold the evidence against every law it can show, in the order of the laws."""
    found = merged(
        findings(evidence.books, ALWAYS),
        findings(evidence.books, AT_REST),
        findings(evidence, BY_EVIDENCE),
    )
    return [
        Verdict(law, found[law].checked, tuple(found[law].violations))
        for law in Law
        if law in found
    ]
