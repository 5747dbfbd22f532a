"""Circuit breaker of each provider account: it stops submissions to a provider that is down.

Several submissions in a row without an answer open the breaker. While it is open, new assets wait
with a ``hold_reason`` and spend nothing. When its time is over, it admits one submission, the
probe. An answer to the probe closes the breaker; a failure opens it for twice as long. The breaker
holds submissions only: jobs at the provider are looked up, polled and released at any time.

One row decides for all workers. If the worker of a probe is lost, the next probe is only later.
(Nygard, Release It!, 2nd ed., 2018, "Circuit Breaker".)
"""

from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from pipeline.domain.hold_reasons import PROVIDER_DOWN
from pipeline.domain.values import BreakerLimits
from pipeline.limits.held_assets import END_HOLDS
from pipeline.records import account_states
from pipeline.records.due import BATCH
from pipeline.records.models import ProviderBreaker

DOUBLINGS = 16
"""Bound of the exponent: the cap is reached long before."""

ASK = text("""
    SELECT CAST(extract(epoch FROM probe_at - now()) AS double precision) AS wait_sec
    FROM provider_breakers WHERE provider = :provider AND opened_at IS NOT NULL
""")

# Of two probes at once, the second waits for the first and then finds that the time is not over.
PROBE = text("""
    UPDATE provider_breakers
    SET is_probing = true, probe_at = now() + make_interval(secs => :probe_sec)
    WHERE provider = :provider AND opened_at IS NOT NULL AND probe_at <= now()
    RETURNING provider
""")

# Only a probe doubles the time: a submission that was admitted before the breaker opened says
# nothing new.
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
    RETURNING opened_at IS NOT NULL
""")  # noqa: S608 - a number of this module

CLOSE = text("""
    UPDATE provider_breakers
    SET failures = 0, opened_at = NULL, probe_at = NULL, is_probing = false
    WHERE provider = :provider AND (failures > 0 OR opened_at IS NOT NULL)
""")

END_PROBE = text("""
    UPDATE provider_breakers SET is_probing = false, probe_at = now()
    WHERE provider = :provider AND is_probing
""")


def sec_to_wait(session: Session, provider: str, limits: BreakerLimits) -> float | None:
    """Return the seconds that a new submission has to wait; None if it is admitted.

    The claim asks in its transaction before it writes. If the breaker's time is over, the
    submission that gets None is the probe.
    """
    wait_sec = session.scalar(ASK, {"provider": provider})
    if wait_sec is None:
        return None
    if session.scalar(PROBE, {"provider": provider, "probe_sec": limits.probe_sec}) is not None:
        return None
    return max(float(wait_sec), limits.open_sec)


def record_failure(session: Session, provider: str, limits: BreakerLimits) -> None:
    """Count a call that got no answer from the provider itself, or a job that it never finished.

    An account whose breaker opens is on probation from then on.
    """
    columns = {
        "provider": provider,
        "failures": limits.failures,
        "open_sec": limits.open_sec,
        "cap_sec": limits.cap_sec,
    }
    if session.scalar(FAIL, columns):
        account_states.begin_probation(session, provider)


def record_answer(session: Session, provider: str) -> None:
    """Close the breaker: the provider answered, even if it refused. Safe to run twice."""
    session.execute(CLOSE, {"provider": provider})


def end_probe(session: Session, provider: str) -> None:
    """Admit another probe: this submission ended before the provider was asked."""
    session.execute(END_PROBE, {"provider": provider})


def release_held(session: Session, provider: str) -> list[UUID]:
    """Make due a batch of assets whose breaker has closed, the longest held first.

    Index: ``video_assets_held``.
    """
    if session.scalar(ASK, {"provider": provider}) is not None:
        return []
    columns = {"hold_reason": PROVIDER_DOWN, "provider": provider, "batch": BATCH}
    return list(session.scalars(END_HOLDS, columns))


def all_breakers(session: Session) -> dict[str, ProviderBreaker]:
    """Return the breakers by account. An account without a failure so far has none."""
    return {breaker.provider: breaker for breaker in session.scalars(select(ProviderBreaker))}
