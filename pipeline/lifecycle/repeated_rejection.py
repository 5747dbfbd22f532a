"""Rejections of outputs that repeat themselves: an encode of the same source comes out alike."""

from dataclasses import replace

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from pipeline.domain.values import Setback
from pipeline.records.models import Attempt

REPEATED = "output_repeated"


def unless_repeated(session: Session, attempt: Attempt, setback: Setback) -> Setback:
    """Return the setback, as a final one if an earlier attempt at the account ended with it.

    The rejection of an output may have a passing cause, so that one more encode is worth its cost.
    The same rule broken with the same figures is no chance.
    """
    if not setback.retryable:
        return setback
    same = select(Attempt.id).where(
        Attempt.asset_id == attempt.asset_id,
        Attempt.generation == attempt.generation,
        Attempt.provider == attempt.provider,
        Attempt.number < attempt.number,
        Attempt.error_code == setback.code,
        Attempt.error_message == setback.message,
    )
    if not session.scalar(select(exists(same))):
        return setback
    return replace(setback, code=REPEATED, retryable=False)
