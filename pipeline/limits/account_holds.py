"""End of the holds for which a change of an account's state is the reason.

A hold for want of an account names none, so that enabling any account ends it. An asset that has a
turn at an account which gets no new jobs is free for another one.
"""

from sqlalchemy import CursorResult, text
from sqlalchemy.orm import Session

from pipeline.domain.hold_reasons import (
    NO_ACCOUNT,
    PROVIDER_ACCOUNT,
    PROVIDER_BUSY,
    PROVIDER_FULL,
    PROVIDER_PACED,
)
from pipeline.domain.routing import AccountState

WANTING = (NO_ACCOUNT, PROVIDER_BUSY, PROVIDER_FULL, PROVIDER_ACCOUNT)
"""Hold reasons of assets that any account may take."""

BATCH = 2000
"""Assets that one change makes due. The others come due by themselves."""

# The hold for want of an account is the only one that did not move the deadline.
END = text("""
    WITH head AS (
        SELECT id FROM video_assets
        WHERE hold_reason = ANY (:reasons) AND next_attempt_at > now()
          AND (CAST(:provider AS text) IS NULL OR provider = :provider)
          AND status IN ('queued', 'retrying') AND deleted_at IS NULL
        ORDER BY next_attempt_at
        LIMIT :batch
        FOR UPDATE SKIP LOCKED
    )
    UPDATE video_assets AS held
    SET deadline_at = CASE WHEN held.hold_reason = :no_account THEN deadline_at
                           ELSE deadline_at - (next_attempt_at - now()) END,
        next_attempt_at = now(), woken_at = NULL
    FROM head WHERE held.id = head.id
""")


def end_holds(session: Session, account: str, state: AccountState) -> int:
    """Make due the assets that can go on now that an account has this state; return their number.

    Index: ``video_assets_held``.
    """
    if state is AccountState.ENABLED:
        return _end(session, WANTING, None)
    return _end(session, (PROVIDER_PACED,), account)


def _end(session: Session, reasons: tuple[str, ...], provider: str | None) -> int:
    ended = session.execute(
        END,
        {
            "reasons": list(reasons),
            "provider": provider,
            "no_account": NO_ACCOUNT,
            "batch": BATCH,
        },
    )
    assert isinstance(ended, CursorResult)
    return ended.rowcount
