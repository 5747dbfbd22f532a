"""State of the provider accounts: rows that every process shares.

The pace is the generic cell rate algorithm: one instant for an account and verb, from which the
next call conforms (ITU-T I.371, annex A). It needs one row and no clean-up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from pipeline.domain.routing import AccountState
from pipeline.domain.values import Rate
from pipeline.records.models import ProviderAccount

# One statement: the row is read, and moved on if the call conforms within the longest wait.
TAKE = text("""
    WITH account AS (
        SELECT greatest(0, extract(epoch FROM paused_until - now())) AS paused_sec,
               problem IS NOT NULL AS has_problem, state = 'disabled' AS is_disabled
        FROM provider_accounts WHERE provider = :provider
    ), pause AS (
        SELECT coalesce((SELECT paused_sec FROM account), 0) AS paused_sec
    ), taken AS (
        INSERT INTO provider_pace AS pace (provider, verb, free_at)
        SELECT :provider, :verb, now() + make_interval(secs => :interval_sec)
        FROM pause WHERE :interval_sec > 0 AND paused_sec = 0
                     AND NOT coalesce((SELECT is_disabled FROM account), false)
        ON CONFLICT (provider, verb) DO UPDATE
            SET free_at = greatest(pace.free_at, clock_timestamp())
                          + make_interval(secs => :interval_sec)
            WHERE extract(epoch FROM pace.free_at - clock_timestamp()) - :slack_sec
                  <= :most_wait_sec
        RETURNING extract(epoch FROM free_at - clock_timestamp()) - :interval_sec - :slack_sec
                  AS wait_sec
    )
    SELECT CAST(coalesce(nullif((SELECT paused_sec FROM pause), 0),
                         (SELECT wait_sec FROM taken),
                         CASE WHEN :interval_sec > 0 THEN (
                             SELECT extract(epoch FROM free_at - clock_timestamp()) - :slack_sec
                             FROM provider_pace
                             WHERE provider = :provider AND verb = :verb) END,
                         0) AS double precision) AS wait_sec,
           coalesce((SELECT has_problem FROM account), false) AS has_problem,
           coalesce((SELECT is_disabled FROM account), false) AS is_disabled
""")

PAUSE = text("""
    INSERT INTO provider_accounts AS account (provider, paused_until)
    VALUES (:provider, now() + make_interval(secs => :pause_sec))
    ON CONFLICT (provider) DO UPDATE
        SET paused_until = greatest(account.paused_until, excluded.paused_until)
""")

PROBLEM = text("""
    INSERT INTO provider_accounts AS account (provider, problem, problem_at)
    VALUES (:provider, :problem, now())
    ON CONFLICT (provider) DO UPDATE
        SET problem = excluded.problem, problem_at = coalesce(account.problem_at, now())
""")

CLEAR = text("""
    UPDATE provider_accounts SET problem = NULL, problem_at = NULL
    WHERE provider = :provider AND problem IS NOT NULL
""")

LIED = text("""
    INSERT INTO provider_accounts AS account (provider, lies, probation_at)
    VALUES (:provider, 1, now())
    ON CONFLICT (provider) DO UPDATE
        SET lies = account.lies + 1, probation_at = coalesce(account.probation_at, now())
""")

TOLD_THE_TRUTH = text("""
    UPDATE provider_accounts SET lies = 0, probation_at = NULL
    WHERE provider = :provider AND probation_at < :submitted_at
""")

PROBATION = text("""
    INSERT INTO provider_accounts AS account (provider, probation_at) VALUES (:provider, now())
    ON CONFLICT (provider) DO UPDATE SET probation_at = coalesce(account.probation_at, now())
""")

SET_STATE = text("""
    INSERT INTO provider_accounts AS account (provider, state) VALUES (:provider, :state)
    ON CONFLICT (provider) DO UPDATE
        SET state = excluded.state, changed_at = now(), lies = 0, problem = NULL, problem_at = NULL,
            paused_until = NULL, probation_at = NULL
""")

RESERVE_TURN = text("""
    INSERT INTO provider_pace AS pace (provider, verb, free_at)
    VALUES (:provider, 'line', clock_timestamp() + make_interval(secs => :interval_sec))
    ON CONFLICT (provider, verb) DO UPDATE
        SET free_at = greatest(pace.free_at, clock_timestamp())
                      + make_interval(secs => :interval_sec)
    RETURNING CAST(extract(epoch FROM free_at - clock_timestamp()) AS double precision)
              - :interval_sec - :slack_sec
""")

MAX_PROBLEM_CHARS = 500


@dataclass(frozen=True)
class Turn:
    """The turn of one call.

    Attributes:
        wait_sec: Seconds until the call may be made. If they exceed the longest wait, no turn was
            taken.
        has_problem: The vendor refused the account at its last call.
        is_disabled: An operator has disabled the account: no turn was taken.
    """

    wait_sec: float
    has_problem: bool
    is_disabled: bool


def take_turn(
    session: Session, provider: str, verb: str, rate: Rate | None, *, most_wait_sec: float
) -> Turn:
    """Take the next turn of an account for a verb, if it comes within the longest wait."""
    interval_sec = 1 / rate.per_sec if rate else 0.0
    row = session.execute(
        TAKE,
        {
            "provider": provider,
            "verb": verb,
            "interval_sec": interval_sec,
            "slack_sec": interval_sec * (rate.burst - 1) if rate else 0.0,
            "most_wait_sec": most_wait_sec,
        },
    ).one()
    return Turn(max(0.0, row.wait_sec), row.has_problem, row.is_disabled)


def reserve_turn(session: Session, provider: str, rate: Rate) -> float:
    """Reserve the next place in an account's line of submissions; return the seconds until it.

    The line only says when to submit. The call itself still takes a turn: cancellations and
    follow-up calls share the vendor's limit, and a place may be missed.
    """
    interval_sec = 1 / rate.per_sec
    columns = {
        "provider": provider,
        "interval_sec": interval_sec,
        "slack_sec": interval_sec * (rate.burst - 1),
    }
    wait_sec: float = session.scalars(RESERVE_TURN, columns).one()
    return max(0.0, wait_sec)


def pause(session: Session, provider: str, pause_sec: float) -> None:
    """Pause the whole account, as the vendor asked. A shorter pause does not end a longer one."""
    session.execute(PAUSE, {"provider": provider, "pause_sec": pause_sec})


def record_problem(session: Session, provider: str, problem: str) -> None:
    """Keep the words with which the vendor refuses the account."""
    session.execute(PROBLEM, {"provider": provider, "problem": problem[:MAX_PROBLEM_CHARS]})


def clear_problem(session: Session, provider: str) -> None:
    """Forget a problem: the vendor has accepted a call of the account."""
    session.execute(CLEAR, {"provider": provider})


def record_lie(session: Session, provider: str) -> None:
    """Count a success whose outputs the gate rejected."""
    session.execute(LIED, {"provider": provider})


def begin_probation(session: Session, provider: str) -> None:
    """Give the account few jobs at once until the outputs of one pass the gate."""
    session.execute(PROBATION, {"provider": provider})


def lock_state(session: Session, provider: str) -> None:
    """Make claims that choose this account wait for each other."""
    chosen = select(ProviderAccount.provider).where(ProviderAccount.provider == provider)
    session.execute(chosen.with_for_update())


def record_truth(session: Session, provider: str, submitted_at: datetime) -> None:
    """End a probation: the outputs of a job that was submitted since have passed the gate.

    A job that is older than the probation says nothing about the account as it is now.
    """
    session.execute(TOLD_THE_TRUTH, {"provider": provider, "submitted_at": submitted_at})


def set_state(session: Session, provider: str, state: str) -> None:
    """Set the state of an account, and forget what its answers have told."""
    session.execute(SET_STATE, {"provider": provider, "state": state})


def disabled(session: Session) -> frozenset[str]:
    """Return the accounts that operators have disabled."""
    chosen = select(ProviderAccount.provider).where(
        ProviderAccount.state == AccountState.DISABLED.value
    )
    return frozenset(session.scalars(chosen))


def all_states(session: Session) -> Mapping[str, ProviderAccount]:
    """Return the rows by account. An account that nothing has happened to has none."""
    # Read anew: a claim reads them before and after it has locked an account.
    anew = select(ProviderAccount).execution_options(populate_existing=True)
    return {row.provider: row for row in session.scalars(anew)}


REFUSED_ACCOUNT = "provider_account"
"""Code of an attempt that was given up because the vendor refused the account: no failure."""

# The last failures of the generation, as many as the asset has spent: those of its present round.
# Beside failed jobs they are successes that the gate rejected, and jobs that were given up.
ROUND = text("""
    SELECT provider, count(*) AS failures,
           bool_or(coalesce(error_code = ANY (:repeating), false)) AS refused_for_good
    FROM (SELECT provider, error_code FROM provider_attempts
          WHERE asset_id = :asset_id AND generation = :generation
            AND (outcome IN ('failed', 'refused', 'cancelled')
                 OR (outcome = 'completed' AND error_code IS NOT NULL)
                 OR (outcome = 'accepted' AND release_requested_at IS NOT NULL
                     AND error_code IS DISTINCT FROM :refused_account))
          ORDER BY number DESC LIMIT :spent) AS spent
    GROUP BY provider
""")

JOBS = text("""
    SELECT provider, count(*) FROM video_assets
    WHERE status = 'processing' AND deleted_at IS NULL AND provider = ANY (:providers)
    GROUP BY provider
""")

# Jobs that are older than the probation say nothing about the account as it is now.
TRIALS = text("""
    SELECT asset.provider, count(*)
    FROM unnest(CAST(:providers AS text[]), CAST(:since AS timestamptz[])) AS account (name, since)
    JOIN video_assets AS asset
      ON asset.provider = account.name
     AND asset.status = 'processing' AND asset.deleted_at IS NULL
    JOIN provider_attempts AS attempt ON attempt.id = asset.attempt_id
    WHERE attempt.created_at >= account.since
    GROUP BY asset.provider
""")


@dataclass(frozen=True)
class Failures:
    """The failures of an asset's present round at one account."""

    count: int
    refused_for_good: bool


def failures_of(
    session: Session, asset_id: UUID, generation: int, *, spent: int, repeating: Sequence[str]
) -> Mapping[str, Failures]:
    """Return the failures of an asset by account.

    Args:
        spent: Failures of its present round.
        repeating: Error codes of failures that another attempt at the same account repeats.
    """
    if spent == 0:
        return {}
    columns = {
        "asset_id": asset_id,
        "generation": generation,
        "spent": spent,
        "repeating": list(repeating),
        "refused_account": REFUSED_ACCOUNT,
    }
    rows = session.execute(ROUND, columns)
    return {row.provider: Failures(row.failures, row.refused_for_good) for row in rows}


def jobs_under_way(session: Session, providers: Sequence[str]) -> Mapping[str, int]:
    """Count the assets that are being processed at these accounts."""
    rows = session.execute(JOBS, {"providers": list(providers)})
    return {provider: int(count) for provider, count in rows}


def trials_under_way(session: Session, since: Mapping[str, datetime]) -> Mapping[str, int]:
    """Count the assets that accounts were given on probation and are processing.

    Args:
        since: Begin of the probation, by account.
    """
    rows = session.execute(TRIALS, {"providers": list(since), "since": list(since.values())})
    return {provider: int(count) for provider, count in rows}
