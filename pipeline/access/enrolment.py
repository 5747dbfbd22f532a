"""Enrolment: the rollout may not have come to an owner yet."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipeline.domain.errors import Forbidden


def require_enrolled(session: Session, owner_id: str) -> None:
    """Refuse an owner to whom the rollout has not come.

    Raises:
        Forbidden: ``not_enrolled``.
    """
    if not session.scalars(select(func.khronika_enrolled(owner_id))).one():
        raise not_enrolled()


def not_enrolled() -> Forbidden:
    """Return the refusal of an owner to whom the rollout has not come."""
    return Forbidden("not_enrolled", "New videos of this owner are not taken yet.")
