"""Checks of the accounts by their books: one that lies gets few jobs."""

from pipeline.domain.events import EventType
from pipeline.domain.routing import MOST_LIES
from tests.chaos.evidence import Evidence
from tests.laws.finding import Finding

CALLED_OFF = frozenset({EventType.CANCELLED, EventType.DELETED})


def liars_get_few_jobs(evidence: Evidence) -> Finding:
    """Require that few jobs were given to an account whose successes are worth nothing.

    A job whose owner cancelled or deleted the video meanwhile says nothing: nobody looks at what it
    made.
    """
    finding = Finding()
    number = sum(1 for job_id in evidence.lies if not _was_called_off(evidence, job_id))
    finding.require(number <= MOST_LIES, None, f"{number} jobs went to an account that lies")
    return finding


def _was_called_off(evidence: Evidence, job_id: str) -> bool:
    attempt = evidence.books.attempt_of.get(job_id)
    return attempt is not None and any(
        event.type in CALLED_OFF and event.attempt == attempt.number
        for event in evidence.books.chronicles[attempt.asset_id]
    )
