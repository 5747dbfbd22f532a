"""SQL of holds that end early, shared by the spend guard and the circuit breaker."""

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
        next_attempt_at = now(), woken_at = NULL
"""
"""Makes a held asset due. A hold moves the deadline by its length; the rest of it is taken back."""
