"""A circuit breaker for each provider account: a provider that is down is not asked by everybody.

Failures in a row to answer a submission open it. While it is open, what is new waits with a
``hold_reason`` and spends nothing. When its time is over one submission is let through: an answer
closes the breaker, another failure opens it for twice as long. Only submissions are held: jobs that
a provider has are looked up, polled and released whatever the breaker says.

The row decides, for all workers together; losing a probe's worker only lets the next probe through
later. (Nygard, Release It!, 2nd ed., 2018, "Circuit Breaker".)
"""

from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from pipeline.domain.values import BreakerLimits
from pipeline.records.due import BATCH
from pipeline.records.models import ProviderBreaker

DOUBLINGS = 16
"""After so many an exponent only costs digits: the cap has long been reached."""


ASK = text("""
    SELECT CAST(extract(epoch FROM probe_at - now()) AS double precision) AS wait_sec
    FROM provider_breakers WHERE provider = :provider AND opened_at IS NOT NULL
""")

# Two at once: the second waits for the first, and then finds that the time is not over.
PROBE = text("""
    UPDATE provider_breakers
    SET is_probing = true, probe_at = now() + make_interval(secs => :probe_sec)
    WHERE provider = :provider AND opened_at IS NOT NULL AND probe_at <= now()
    RETURNING provider
""")

# Those who had been let through before it opened tell nothing new: only a probe doubles the time.
FAIL = text(f"""
    INSERT INTO provider_breakers AS breaker (provider, failures, opened_at, probe_at)
    VALUES (:provider, 1,
            CASE WHEN :failures <= 1 THEN now() END,
            CASE WHEN :failures <= 1 THEN now() + make_interval(secs => :open_sec) END)
    ON CONFLICT (provider) DO UPDATE SET
        failures = breaker.failures + 1,
        is_probing = false,
        opened_at = CASE WHEN breaker.failures + 1 >= :failures
                         THEN coalesce(breaker.opened_at, now()) END,
        probe_at = CASE WHEN breaker.failures + 1 >= :failures
                        THEN now() + make_interval(secs => least(
                            :cap_sec,
                            :open_sec * power(
                                2, least({DOUBLINGS}, breaker.failures + 1 - :failures)))) END
    WHERE breaker.opened_at IS NULL OR breaker.is_probing
""")  # noqa: S608 - a number of this file

CLOSE = text("""
    UPDATE provider_breakers
    SET failures = 0, opened_at = NULL, probe_at = NULL, is_probing = false
    WHERE provider = :provider AND (failures > 0 OR opened_at IS NOT NULL)
""")

UNDECIDED = text("""
    UPDATE provider_breakers SET is_probing = false, probe_at = now()
    WHERE provider = :provider AND is_probing
""")

# The time that was not waited out is taken back from the deadline that was moved for it.
RELEASE = text("""
    WITH head AS (
        SELECT id FROM video_assets
        WHERE hold_reason = 'provider_down' AND provider = :provider AND next_attempt_at > now()
          AND status IN ('queued', 'retrying') AND deleted_at IS NULL
        ORDER BY next_attempt_at
        LIMIT :batch
        FOR UPDATE SKIP LOCKED
    )
    UPDATE video_assets AS held
    SET deadline_at = deadline_at - (next_attempt_at - now()),
        next_attempt_at = now(), woken_at = NULL
    FROM head WHERE held.id = head.id
    RETURNING held.id
""")


def sec_to_wait(session: Session, provider: str, limits: BreakerLimits) -> float | None:
    """How long a new submission has to wait; None when it is let through.

    Asked in the transaction of the claim, before it. Where the breaker's time is over, whoever is
    told None is the probe.
    """
    wait_sec = session.scalar(ASK, {"provider": provider})
    if wait_sec is None:
        return None
    if session.scalar(PROBE, {"provider": provider, "probe_sec": limits.probe_sec}) is not None:
        return None
    return max(float(wait_sec), limits.open_sec)


def record_failure(session: Session, provider: str, limits: BreakerLimits) -> None:
    """Count a submission that was not answered, or not by the provider."""
    session.execute(
        FAIL,
        {
            "provider": provider,
            "failures": limits.failures,
            "open_sec": limits.open_sec,
            "cap_sec": limits.cap_sec,
        },
    )


def record_answer(session: Session, provider: str) -> None:
    """Close the breaker: the provider answered, whatever it said. Safe to run twice."""
    session.execute(CLOSE, {"provider": provider})


def end_probe(session: Session, provider: str) -> None:
    """Let another probe through: this submission ended before the provider was asked."""
    session.execute(UNDECIDED, {"provider": provider})


def release_held(session: Session, provider: str) -> list[UUID]:
    """Make due what waits for a breaker that has closed, the longest held first, in batches.

    Index: ``video_assets_held``.
    """
    if session.scalar(ASK, {"provider": provider}) is not None:
        return []
    return list(session.scalars(RELEASE, {"provider": provider, "batch": BATCH}))


def all_breakers(session: Session) -> dict[str, ProviderBreaker]:
    """The breakers of all accounts that have ever failed, by account: a row each."""
    return {breaker.provider: breaker for breaker in session.scalars(select(ProviderBreaker))}
