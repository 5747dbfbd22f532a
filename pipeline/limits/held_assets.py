"""SQL of holds that end early, shared by the guards of a provider account."""

from sqlalchemy import text

HELD = """
    FROM video_assets
    WHERE hold_reason = :hold_reason AND provider = :provider AND next_attempt_at > now()
      AND status IN ('queued', 'retrying') AND deleted_at IS NULL
    ORDER BY next_attempt_at
"""
"""The assets that a provider account holds for a reason, the longest held first."""

END_HOLD = """
    UPDATE video_assets AS held
    SET deadline_at = deadline_at - (next_attempt_at - now()),
        held_since = held_since - (next_attempt_at - now()),
        next_attempt_at = now(), woken_at = NULL
"""
"""Makes a held asset due. A hold moves the deadline by its length; the rest of it is taken back."""

END_HOLDS = text(f"""
    WITH head AS (
        SELECT id {HELD}
        LIMIT :batch
        FOR UPDATE SKIP LOCKED
    )
    {END_HOLD} FROM head WHERE held.id = head.id
    RETURNING held.id
""")  # noqa: S608 - constants of ours
"""Makes due a batch of the assets that an account holds for a reason."""
