"""Facts about each provider account: state, breaker, jobs, spend and estimated cost.

The command line, the console, the API and the metrics show the same ones. Only configured accounts
are read, so that the metrics have a bounded number of labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from pipeline.domain.prices import SEC_PER_MINUTE
from pipeline.domain.routing import AccountState
from pipeline.limits import circuit_breaker
from pipeline.operations import metrics
from pipeline.operations.metrics import Spend
from pipeline.providers.account_terms import AccountTerms
from pipeline.records import account_states, releases
from pipeline.records.models import ProviderAccount, ProviderBreaker

# The table has one row for each account and hour of at most 35 days: see ``spend_guard``.
SPEND = text("""
    SELECT provider,
           coalesce(sum(assets) FILTER (WHERE is_now), 0) AS hour_assets,
           coalesce(sum(media_sec) FILTER (WHERE is_now), 0) AS hour_sec,
           sum(assets) AS month_assets, sum(media_sec) AS month_sec
    FROM (
        SELECT provider, assets, media_sec, hour = date_trunc('hour', now(), 'UTC') AS is_now
        FROM provider_spend WHERE hour >= date_trunc('month', now(), 'UTC')
    ) AS spent
    GROUP BY provider
""")

NOTHING = Spend(0, 0.0)


@dataclass(frozen=True)
class AccountFacts:
    """The facts about one account.

    Attributes:
        row: None if nothing has happened to the account; so is the breaker.
        jobs: Videos that are being processed there.
        hour: Work given to it in this clock hour.
        month: Work given to it in this calendar month, UTC.
        releases_owed: Jobs that it has still to end.
        read_at: Instant of the reading, by the database's clock.
    """

    terms: AccountTerms
    row: ProviderAccount | None
    breaker: ProviderBreaker | None
    jobs: int
    hour: Spend
    month: Spend
    releases_owed: int
    read_at: datetime

    @property
    def name(self) -> str:
        """The account's name."""
        return self.terms.name

    @property
    def state(self) -> AccountState:
        """The state that operators gave it."""
        return AccountState(self.row.state) if self.row else AccountState.ENABLED

    @property
    def problem(self) -> str | None:
        """The words with which the vendor refuses the account."""
        return self.row.problem if self.row else None

    @property
    def problem_age_sec(self) -> float | None:
        """Seconds since the vendor began to refuse the account."""
        since = self.row.problem_at if self.row else None
        return (self.read_at - since).total_seconds() if since else None

    @property
    def paused_until(self) -> datetime | None:
        """Instant before which the vendor wants no call; None if it may be called now."""
        until = self.row.paused_until if self.row else None
        return until if until and until > self.read_at else None

    @property
    def lies(self) -> int:
        """Successes in a row that the gate rejected."""
        return self.row.lies if self.row else 0

    @property
    def on_probation(self) -> bool:
        """True if it gets few jobs until one of them has passed the gate."""
        return self.row is not None and self.row.probation_at is not None

    @property
    def is_in_trouble(self) -> bool:
        """True if enabling it again would forget something."""
        return bool(self.problem or self.paused_until or self.on_probation)

    @property
    def breaker_state(self) -> str:
        """``closed``, ``open``, or ``trying`` while a probe is under way."""
        if self.breaker is None or self.breaker.opened_at is None:
            return "closed"
        return "trying" if self.breaker.is_probing else "open"

    @property
    def hour_cost(self) -> float:
        """Estimated cost of encoding the work of this hour."""
        return self.terms.prices.encoding(self.hour.media_sec)

    @property
    def month_cost(self) -> float:
        """Estimated cost of encoding the work of this month."""
        return self.terms.prices.encoding(self.month.media_sec)

    def document(self) -> dict[str, Any]:
        """Return the facts as a JSON object."""
        limits = self.terms.limits
        return {
            "name": self.name,
            "adapter": self.terms.adapter,
            "state": self.state.value,
            "problem": self.problem,
            "problem_age_sec": self.problem_age_sec,
            "paused_until": self.paused_until,
            "rejected_successes": self.lies,
            "on_probation": self.on_probation,
            "breaker": self.breaker_state,
            "jobs": self.jobs,
            "hour_assets": self.hour.assets,
            "hour_assets_limit": limits.assets_per_hour,
            "hour_minutes": self.hour.media_sec / SEC_PER_MINUTE,
            "hour_minutes_limit": limits.minutes_per_hour,
            "hour_cost": self.hour_cost,
            "month_minutes": self.month.media_sec / SEC_PER_MINUTE,
            "month_cost": self.month_cost,
            "releases_owed": self.releases_owed,
        }


def read_accounts(session: Session, terms: Sequence[AccountTerms]) -> Sequence[AccountFacts]:
    """Return the facts about these accounts, in the same order."""
    rows = account_states.all_states(session)
    breakers = circuit_breaker.all_breakers(session)
    jobs = metrics.jobs_by_account(session)
    spent = _spend(session)
    owed = releases.owed_by_account(session)
    now = session.scalars(select(func.now())).one()
    return [
        AccountFacts(
            each,
            rows.get(each.name),
            breakers.get(each.name),
            jobs.get(each.name, 0),
            *spent.get(each.name, (NOTHING, NOTHING)),
            releases_owed=owed.get(each.name, 0),
            read_at=now,
        )
        for each in terms
    ]


def _spend(session: Session) -> Mapping[str, tuple[Spend, Spend]]:
    """Return the work of this hour and of this month, by account."""
    return {
        row.provider: (
            Spend(int(row.hour_assets), row.hour_sec),
            Spend(int(row.month_assets), row.month_sec),
        )
        for row in session.execute(SPEND)
    }
