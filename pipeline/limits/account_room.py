"""Room for further jobs at provider accounts, and the assets that wait for it."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pipeline.domain.hold_reasons import PROVIDER_FULL
from pipeline.domain.routing import AccountState, trial_jobs
from pipeline.limits.held_assets import END_HOLDS
from pipeline.records import account_states
from pipeline.records.due import BATCH
from pipeline.records.models import ProviderAccount
from pipeline.services import Services

LENT = 20
"""Assets that wait for one account and are let go in one sweep because another has room. Some of
them may be for the one account alone; they are held again."""


def limited_jobs(
    services: Services, session: Session, states: Mapping[str, ProviderAccount]
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Count the jobs under way at accounts that have a limit, and those given on probation."""
    limited = [
        name
        for name, provider in services.providers.items()
        if provider.capabilities.max_jobs is not None
    ]
    suspects = {name: row.probation_at for name, row in states.items() if row.probation_at}
    jobs = account_states.jobs_under_way(session, limited) if limited else {}
    trials = account_states.trials_under_way(session, suspects) if suspects else {}
    return jobs, trials


def release_held(services: Services, session: Session) -> list[UUID]:
    """Make due as many assets as the accounts have room for again, the longest held first.

    An asset waits for one account. It is let go, too, while that one has no room and another has.
    A hold for any other reason has an end of its own, such as the pause that a vendor asked for.

    Index: ``video_assets_held``.
    """
    released: list[UUID] = []
    spare = 0
    for account, room in sorted(_rooms(services, session).items(), key=lambda each: -each[1]):
        batch = room or min(LENT, spare)
        if batch:
            columns = {"hold_reason": PROVIDER_FULL, "provider": account, "batch": batch}
            ended = list(session.scalars(END_HOLDS, columns))
            spare += room - len(ended)
            released.extend(ended)
    return released


def _rooms(services: Services, session: Session) -> Mapping[str, int]:
    """Return the number of jobs that each account may get now, a batch at most."""
    now = session.scalars(select(func.clock_timestamp())).one()
    states = account_states.all_states(session)
    jobs, trials = limited_jobs(services, session, states)
    rooms = {}
    for name, provider in services.providers.items():
        most, row = provider.capabilities.max_jobs, states.get(name)
        by_limit = BATCH if most is None else most - jobs.get(name, 0)
        on_trial = row is not None and row.probation_at is not None
        by_trial = trial_jobs(row.lies) - trials.get(name, 0) if row and on_trial else BATCH
        rooms[name] = max(0, min(BATCH, by_limit, by_trial)) if _may_be_called(row, now) else 0
    return rooms


def _may_be_called(row: ProviderAccount | None, now: datetime) -> bool:
    """Return true if an account may get jobs: it is enabled, accepted by its vendor, not paused."""
    if row is None:
        return True
    is_paused = row.paused_until is not None and row.paused_until > now
    return row.state == AccountState.ENABLED and row.problem is None and not is_paused
