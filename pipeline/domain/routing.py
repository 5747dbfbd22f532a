"""The choice of a provider account for an asset: a pure function.

An account that cannot do the job is passed over, and so is one that must not or cannot be called
now. The first account of the operator's order that is left gets the job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.domain.values import Profile, SourceFacts

FAILURES_BEFORE_ANOTHER = 2
"""Failures of one asset at one account after which another account is preferred: one may be chance,
two of the same job are a pattern."""
MOST_LIES = 3
"""Rejected successes in a row after which an account gets no new job while another is left. A
broken encoder succeeds at once and would otherwise attract all work."""


class AccountState(StrEnum):
    """States of an account, set by operators."""

    ENABLED = "enabled"
    """It gets new jobs."""
    DRAIN = "drain"
    """It gets no new jobs; those that it has go on."""
    DISABLED = "disabled"
    """It gets no new jobs, and is not asked about those that it has."""


class PassedOver(StrEnum):
    """Reasons to pass an account over. The chronicle has these values."""

    DISABLED = "disabled"
    DRAINING = "draining"
    ACCOUNT_PROBLEM = "account_problem"
    """The vendor refuses the account."""
    SUSPECT = "suspect"
    """The gate rejected its last successes."""
    PLAYBACK = "cannot_restrict_playback"
    TOO_LONG = "source_too_long"
    TOO_LARGE = "source_too_large"
    CONTAINER = "container_not_taken"
    CAP = "cannot_cap_renditions"
    FAILED_HERE = "failed_here_before"
    """This asset failed there more than once, or in a way that repeats itself."""
    PAUSED = "paused"
    """The vendor asked for a pause."""
    FULL = "has_its_most_jobs"
    ON_TRIAL = "on_trial"
    """It is on probation, and has as many jobs as it is trusted with until one of them is good."""
    PACED = "at_its_pace"
    """Its calls are used up for the moment."""
    NOT_WANTED = "not_wanted"
    """The asset is to move to another account."""
    BREAKER = "breaker_open"
    BUDGET = "budget_used_up"


LASTING = frozenset(
    {
        PassedOver.PLAYBACK,
        PassedOver.TOO_LONG,
        PassedOver.TOO_LARGE,
        PassedOver.CONTAINER,
        PassedOver.CAP,
    }
)
"""Reasons that waiting does not remove: the account lacks a capability."""


ENDS_WISH = LASTING | {PassedOver.DISABLED, PassedOver.DRAINING, PassedOver.FAILED_HERE}
"""Reasons that end the wish for an account. For any other the asset waits: a job elsewhere would
cost money and would not move it."""


DOUBTFUL = frozenset({PassedOver.FAILED_HERE, PassedOver.SUSPECT})
"""Reasons that count only while another account is left."""


PASSING = frozenset({PassedOver.PAUSED, PassedOver.FULL, PassedOver.ON_TRIAL})
"""Reasons that pass by themselves, soon."""


@dataclass(frozen=True)
class Needs:
    """The demands of an asset on an account.

    Attributes:
        source: None as long as the source has not been measured.
        signed: Playback must be restricted.
        cap: The largest rendition that may be made; None for no cap.
        wanted: The account that the asset is to move to; None for any.
    """

    source: SourceFacts | None
    signed: bool
    cap: Profile | None
    wanted: str | None = None


@dataclass(frozen=True)
class Candidate:
    """An account as the choice sees it.

    Attributes:
        failures: Attempts of this asset's present round that failed there.
        refused_for_good: An attempt of this round failed there in a way that repeats itself.
        on_probation: It had an outage or a rejected success, and no good one since.
        paused_sec: Seconds until the vendor wants to be called again; 0 for now.
        jobs: Jobs under way there; 0 if nobody limits them.
        trials: Those that it was given on probation.
    """

    name: str
    signed_playback: bool = False
    caps: frozenset[Profile] = frozenset()
    max_duration_sec: float | None = None
    max_bytes: int | None = None
    containers: frozenset[str] = frozenset()
    max_jobs: int | None = None
    state: AccountState = AccountState.ENABLED
    problem: bool = False
    lies: int = 0
    on_probation: bool = False
    trials: int = 0
    failures: int = 0
    refused_for_good: bool = False
    paused_sec: float = 0.0
    jobs: int = 0


@dataclass(frozen=True)
class Route:
    """The order in which accounts are tried.

    Attributes:
        names: Accounts that may get the job now, the preferred one first.
        passed_over: The reason for each other account.
    """

    names: tuple[str, ...]
    passed_over: Mapping[str, PassedOver] = field(default_factory=dict)


def route(needs: Needs, candidates: Sequence[Candidate]) -> Route:
    """Return the accounts that may get the job now.

    A doubtful account comes after the others, not never: if it is the only one left, the retry
    budget decides. Otherwise a few odd sources would stop an installation with one account.

    A wanted account gets the job, or the asset waits for it, until one of ``ENDS_WISH`` stands
    against it.
    """
    reasons = {each.name: reason_against(needs, each) for each in candidates}
    wanted = needs.wanted
    if wanted in reasons and reasons[wanted] not in ENDS_WISH:
        return _wanted_alone(wanted, reasons)
    free = [name for name, reason in reasons.items() if reason is None]
    names = tuple(free or _least_doubtful(candidates, reasons))
    against = {name: reason for name, reason in reasons.items() if reason and name not in names}
    return Route(names, against)


def _least_doubtful(
    candidates: Sequence[Candidate], reasons: Mapping[str, PassedOver | None]
) -> Sequence[str]:
    """Return the doubtful accounts with the fewest lies.

    An account that lied gets nothing while another one only has no room for the moment.
    """
    doubtful = [
        each for each in candidates if reasons[each.name] in DOUBTFUL and not each.refused_for_good
    ]
    fewest = min((each.lies for each in doubtful), default=0)
    if fewest > 0 and PASSING & set(reasons.values()):
        return ()
    return [each.name for each in doubtful if each.lies == fewest]


def _wanted_alone(wanted: str, reasons: Mapping[str, PassedOver | None]) -> Route:
    against = {name: PassedOver.NOT_WANTED for name in reasons if name != wanted}
    reason = reasons[wanted]
    if reason is None:
        return Route((wanted,), against)
    return Route((), {**against, wanted: reason})


def reason_against(needs: Needs, account: Candidate) -> PassedOver | None:
    """Return the reason to pass an account over; None if it may get the job now."""
    checks = (
        (account.state is AccountState.DISABLED, PassedOver.DISABLED),
        (account.state is AccountState.DRAIN, PassedOver.DRAINING),
        *_lacking(needs, account),
        (account.problem, PassedOver.ACCOUNT_PROBLEM),
        (_has_no_trial_left(account), PassedOver.ON_TRIAL),
        (account.on_probation and account.lies >= MOST_LIES, PassedOver.SUSPECT),
        (account.paused_sec > 0, PassedOver.PAUSED),
        (account.max_jobs is not None and account.jobs >= account.max_jobs, PassedOver.FULL),
        (
            account.refused_for_good or account.failures >= FAILURES_BEFORE_ANOTHER,
            PassedOver.FAILED_HERE,
        ),
    )
    return next((reason for holds, reason in checks if holds), None)


def trial_jobs(lies: int) -> int:
    """Return the number of jobs that an account may have at once on probation.

    Each of them may turn out to be another rejected success, so that all together they are few.
    After the last trial one job at a time is left, for an installation with no other account.
    """
    return max(1, MOST_LIES - lies)


def _has_no_trial_left(account: Candidate) -> bool:
    return account.on_probation and account.trials >= trial_jobs(account.lies)


def _lacking(needs: Needs, account: Candidate) -> Sequence[tuple[bool, PassedOver]]:
    lacks_playback = (needs.signed and not account.signed_playback, PassedOver.PLAYBACK)
    source = needs.source
    if source is None:
        return (lacks_playback,)
    return (
        lacks_playback,
        (_exceeds(source.duration_sec, account.max_duration_sec), PassedOver.TOO_LONG),
        (_exceeds(source.size_bytes, account.max_bytes), PassedOver.TOO_LARGE),
        (
            bool(account.containers) and source.container not in account.containers,
            PassedOver.CONTAINER,
        ),
        (_must_cap(needs.cap, source) and needs.cap not in account.caps, PassedOver.CAP),
    )


def _exceeds(value: float | None, most: float | None) -> bool:
    return value is not None and most is not None and value > most


def _must_cap(cap: Profile | None, source: SourceFacts) -> bool:
    """Return true if renditions above the cap could be made of this source."""
    return cap is not None and source.short_side > int(cap.value.removesuffix("p"))
