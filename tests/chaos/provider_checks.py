"""Checks of the accounts by their books: one that lies gets few jobs."""

from pipeline.domain.routing import MOST_LIES
from tests.chaos.evidence import Evidence
from tests.laws.finding import Finding


def liars_get_few_jobs(evidence: Evidence) -> Finding:
    """Require that few jobs were given to an account whose successes are worth nothing."""
    finding = Finding()
    number = len(evidence.lies)
    finding.require(number <= MOST_LIES, None, f"{number} jobs went to an account that lies")
    return finding
