"""The documents of the provider accounts, for operators."""

from datetime import datetime

from pydantic import BaseModel

from api.documents.schemas import Body
from pipeline.domain.routing import AccountState


class AccountOut(BaseModel):
    """One provider account. Costs are estimates: minutes times the account's price."""

    name: str
    adapter: str
    state: AccountState
    problem: str | None
    """The words with which the vendor refuses the account."""
    problem_age_sec: float | None
    paused_until: datetime | None
    """The instant before which the vendor wants no call."""
    rejected_successes: int
    """Successes in a row whose outputs did not pass the checks."""
    on_probation: bool
    """True if it gets few jobs until one has passed the checks."""
    breaker: str
    """``closed``, ``open``, or ``trying`` while one submission tries again."""
    jobs: int
    hour_assets: int
    hour_assets_limit: int | None
    hour_minutes: float
    hour_minutes_limit: float | None
    hour_cost: float
    month_minutes: float
    month_cost: float
    releases_owed: int
    """Jobs that the account has still to end."""


class AccountsOut(BaseModel):
    """The configured accounts, the preferred one first."""

    providers: list[AccountOut]


class AccountStateBody(Body):
    """The state that an account shall have."""

    state: AccountState


class AccountStateOut(BaseModel):
    """The change of an account's state."""

    provider: str
    state: AccountState
    was: AccountState
    made_due: int
    """Waiting videos that go on."""
