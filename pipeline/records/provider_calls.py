"""The count of the calls to provider accounts, which belong to no transaction of ours."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def count_call(session: Session, account: str, call: str, result: str, took_sec: float) -> None:
    """Count one call.

    Args:
        call: The adapter's method, such as ``submit``.
        result: ``ok``, or the code of the error.
    """
    session.execute(select(func.khronika_note_call(account, call, result, took_sec)))
