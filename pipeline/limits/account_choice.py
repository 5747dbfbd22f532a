"""The choice of a provider account for an asset, from the rows and the settings of the accounts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from pipeline.content.source_facts import facts_of
from pipeline.domain.hold_reasons import (
    NO_ACCOUNT,
    PROVIDER_ACCOUNT,
    PROVIDER_BUSY,
    PROVIDER_DOWN,
    PROVIDER_FULL,
    PROVIDER_PACED,
    SPEND_GUARD,
)
from pipeline.domain.routing import (
    LASTING,
    PASSING,
    AccountState,
    Candidate,
    Needs,
    PassedOver,
    reason_against,
    route,
)
from pipeline.domain.values import Playback, SourceFacts, Verb
from pipeline.limits import circuit_breaker, spend_guard
from pipeline.limits.account_room import limited_jobs
from pipeline.providers.base import Provider
from pipeline.records import account_states
from pipeline.records.account_states import Failures
from pipeline.records.models import Asset, ProviderAccount
from pipeline.services import Services

REPEATING = (
    "provider_refused",
    "output_disagrees",
    "output_misplaced",
    "output_repeated",
    "playback_unsupported",
    "undecodable",
)
"""Codes of failures that another attempt at the same account repeats, and one elsewhere may not."""

NO_ACCOUNT_SEC = 60.0
"""Time until the accounts are looked at again for an asset that none can take."""
HOLD_JITTER_SEC = 60.0
"""Time over which the assets that wait for the next hour are spread after it begins."""
SHORT_PAUSE_SEC = 2.0
"""A pause that is no longer is waited out by the call itself; a hold would last until a sweep."""
HAS_NO_ROOM = frozenset({PassedOver.FULL, PassedOver.ON_TRIAL})
"""Reasons that end when a job of the account does."""
TURN_SLACK_SEC = 0.5
"""A turn that is no further away is taken at once: the source is measured first in any case."""


@dataclass(frozen=True)
class Chosen:
    """The account that gets the job.

    Attributes:
        reserved_sec: Media seconds charged to the account's hour.
        passed_over: The reason for each account before it.
    """

    account: str
    reserved_sec: float
    passed_over: Mapping[str, PassedOver]


@dataclass(frozen=True)
class NoneChosen:
    """No account may get the job now.

    Attributes:
        account: The account that the asset waits for; None for any.
        delay_sec: Time until the next look.
        passed_over: The reason for each account.
    """

    hold_reason: str
    delay_sec: float
    account: str | None
    passed_over: Mapping[str, PassedOver]


def choose_account(
    services: Services, session: Session, asset: Asset, now: datetime
) -> Chosen | NoneChosen:
    """Choose an account, and reserve its turn and its budget in this transaction.

    A turn that is too far away is reserved too: the asset waits for it as ``provider_paced`` and
    finds it when it is due.
    """
    candidates = read_candidates(services, session, asset, now)
    on_probation = [each.name for each in candidates if each.on_probation]
    if on_probation:
        for name in on_probation:
            account_states.lock_state(session, name)
        candidates = read_candidates(services, session, asset, now)
    chosen = route(needs_of(services, asset, facts_of(asset)), candidates)
    against = dict(chosen.passed_over)
    holds: list[NoneChosen] = []
    for name in chosen.names:
        taken = _take(services, session, asset, name, now)
        if isinstance(taken, Chosen):
            return Chosen(name, taken.reserved_sec, against)
        against |= taken.passed_over
        if taken.hold_reason == PROVIDER_PACED:
            return NoneChosen(PROVIDER_PACED, taken.delay_sec, name, against)
        holds.append(taken)
    if holds:
        soonest = min(holds, key=lambda hold: hold.delay_sec)
        return NoneChosen(soonest.hold_reason, soonest.delay_sec, soonest.account, against)
    return _held_by(services, candidates, against)


def has_another(services: Services, session: Session, asset: Asset, account: str) -> bool:
    """Return true if an account other than this one can take the asset, now or later."""
    now = datetime.now(UTC)
    candidates = [
        each for each in read_candidates(services, session, asset, now) if each.name != account
    ]
    found = route(needs_of(services, asset, facts_of(asset)), candidates)
    return bool(found.names) or bool(PASSING & set(found.passed_over.values()))


def lasting_reason_against(
    services: Services, asset: Asset, provider: Provider, source: SourceFacts | None
) -> PassedOver | None:
    """Return the reason for which an account cannot process an asset, now or later."""
    needs = needs_of(services, asset, source)
    found = reason_against(needs, _candidate(provider, None, None, datetime.now(UTC)))
    return found if found in LASTING else None


def needs_of(services: Services, asset: Asset, source: SourceFacts | None) -> Needs:
    """Return the demands of an asset on an account."""
    cap = services.settings.providers.max_profile
    signed = asset.playback == Playback.SIGNED
    return Needs(source, signed=signed, cap=cap, wanted=asset.wanted_provider)


def read_candidates(
    services: Services, session: Session, asset: Asset, now: datetime
) -> list[Candidate]:
    """Return every account as the choice sees it, in the operator's order."""
    states = account_states.all_states(session)
    failures = account_states.failures_of(
        session, asset.id, asset.generation, spent=asset.failures, repeating=REPEATING
    )
    jobs, trials = limited_jobs(services, session, states)
    return [
        replace(
            _candidate(provider, states.get(name), failures.get(name), now),
            jobs=jobs.get(name, 0),
            trials=trials.get(name, 0),
        )
        for name, provider in services.providers.items()
    ]


def _candidate(
    provider: Provider, row: ProviderAccount | None, failures: Failures | None, now: datetime
) -> Candidate:
    able = provider.capabilities
    paused = (row.paused_until - now).total_seconds() if row and row.paused_until else 0.0
    return Candidate(
        name=provider.name,
        signed_playback=able.signed_playback,
        caps=able.caps,
        max_duration_sec=able.max_duration_sec,
        max_bytes=able.max_bytes,
        containers=able.containers,
        max_jobs=able.max_jobs,
        state=AccountState(row.state) if row else AccountState.ENABLED,
        problem=row is not None and row.problem is not None,
        lies=row.lies if row else 0,
        on_probation=row is not None and row.probation_at is not None,
        failures=failures.count if failures else 0,
        refused_for_good=failures.refused_for_good if failures else False,
        paused_sec=paused if paused > SHORT_PAUSE_SEC else 0.0,
    )


def _take(
    services: Services, session: Session, asset: Asset, account: str, now: datetime
) -> Chosen | NoneChosen:
    """Ask the guards of one account, and reserve."""
    settings = services.settings
    wait_sec = circuit_breaker.sec_to_wait(session, account, settings.breaker_limits)
    if wait_sec is not None:
        delay_sec = wait_sec + services.rng.uniform(0, settings.breaker.open_sec)
        return NoneChosen(PROVIDER_DOWN, delay_sec, account, {account: PassedOver.BREAKER})
    turn_sec = _turn_sec(services, session, asset, account)
    if turn_sec > TURN_SLACK_SEC:
        circuit_breaker.end_probe(session, account)
        return NoneChosen(PROVIDER_PACED, turn_sec, account, {account: PassedOver.PACED})
    media_sec = spend_guard.media_sec_of(asset)
    if not spend_guard.reserve(session, account, media_sec, services.spend_limits(account)):
        circuit_breaker.end_probe(session, account)
        delay_sec = spend_guard.sec_to_next_hour(now) + services.rng.uniform(0, HOLD_JITTER_SEC)
        return NoneChosen(SPEND_GUARD, delay_sec, account, {account: PassedOver.BUDGET})
    return Chosen(account, media_sec, {})


def _turn_sec(services: Services, session: Session, asset: Asset, account: str) -> float:
    """Return the seconds until the asset's turn at the account, reserving one if it has none."""
    rate = services.providers[account].capabilities.pace.get(Verb.WRITE)
    has_turn = asset.hold_reason == PROVIDER_PACED and asset.provider == account
    if rate is None or has_turn:
        return 0.0
    return account_states.reserve_turn(session, account, rate)


def _held_by(
    services: Services, candidates: list[Candidate], against: Mapping[str, PassedOver]
) -> NoneChosen:
    """Return the hold of an asset for which no account may be called at all.

    An account that is full counts before one that is paused, because its hold ends with any of its
    jobs. The waits are spread, so that the assets of a backlog do not come back together.
    """
    delay_sec = NO_ACCOUNT_SEC + services.rng.uniform(0, NO_ACCOUNT_SEC / 2)
    full = [name for name, reason in against.items() if reason in HAS_NO_ROOM]
    if full:
        return NoneChosen(PROVIDER_FULL, delay_sec, services.rng.choice(full), against)
    pauses = [each.paused_sec for each in candidates if against[each.name] is PassedOver.PAUSED]
    if pauses:
        spread_sec = services.rng.uniform(0, min(min(pauses) / 2, NO_ACCOUNT_SEC))
        return NoneChosen(PROVIDER_BUSY, min(pauses) + spread_sec, None, against)
    has_problem = PassedOver.ACCOUNT_PROBLEM in against.values()
    return NoneChosen(PROVIDER_ACCOUNT if has_problem else NO_ACCOUNT, delay_sec, None, against)
