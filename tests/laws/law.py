"""The laws by name, each with its sentence, grouped by the guarantees of docs/reliability.md."""

from collections.abc import Mapping
from enum import StrEnum


class Law(StrEnum):
    """A law. The value is the sentence that reports and docs/reliability.md print."""

    CREATES_EXIST_ONCE = "every acknowledged create exists, once"
    """The answered id is a row, and no other row has ever held that post."""
    DEEDS_ARE_RECORDED = "every acknowledged deed of an owner is in the chronicle"
    """A cancel, retry, re-encode or delete that was answered with 2xx is an event of its own."""
    CALLBACKS_ARE_STORED = "every callback answered 202 is in the inbox"
    """The id is one row, with the bytes that were acknowledged."""

    ONE_JOB_PER_ATTEMPT = "at most one provider job per attempt"
    """The intent of a job is committed before its request, and a request that makes a job each
    time is sent at most once."""

    ONE_ATTEMPT_UNDER_WAY = "earlier job released before the next is submitted"
    """Of the attempts of an asset at most one is under way: not ended, and not owed a release."""
    NO_ORPHANS = "no provider job is orphaned"
    """A job is current, is published or kept, has ended, or is owed a release."""
    RELEASES_ARE_PAID = "every release owed to the provider is paid"
    """Once nothing is due, no attempt is owed a release."""

    CALLBACKS_COUNT_ONCE = "no callback is applied twice"
    """An event id is stored once, and at most one event of the chronicle names it."""
    REPETITIONS_ARE_RECOGNISED = "repetitions are answered 200"
    """After its 202 an event id is a duplicate, or a conflict if its body differs."""
    FORGERIES_STAY_OUT = "forged and stale callbacks never get in"
    """A wrong or stale signature is refused and leaves no row."""
    ENDED_STAYS_ENDED = "a cancelled or deleted asset stays as it is"
    """After ``deleted`` no event changes the status; after ``cancelled`` only ``retried`` does."""

    TOKENS_RISE = "every rise of the lease token has its event"
    """The token is the number of events whose write raises it, and never falls."""
    HOLDERS_WRITE_ALONE = "no write by a stale token"
    """Between a claim and the next rise of the token one worker writes, each report once."""

    ALL_ENDS = "every asset reached a terminal state"
    """Once nothing is due, an asset is completed, failed or deleted."""
    CALLBACKS_ARE_SETTLED = "every stored callback is settled"
    """Once nothing is due, a delivery is applied, ignored or dead."""
    LIVE_HAS_DEADLINE = "every live asset has a deadline"
    """A live asset has ``deadline_at``; one in ``processing`` is also leased or polled."""
    BUDGETS_HOLD = "no asset spends more failures than its budget"
    """``failures`` is at most ``max_attempts``."""
    LIARS_GET_FEW_JOBS = "an account that succeeds with nothing to show gets at most 3 jobs"
    """From its return after an outage until the outputs of one of its jobs pass the gate."""
    RECOVERED_IN_TIME = "recovered within the stated bound"
    """From the end of the last fault, or its own creation if that is later, to its end."""

    COMPLETED_IS_PLAYABLE = "what completed is published and passed the gate"
    """A completed asset publishes one output, of a job whose outputs the provider knows to be
    good."""
    PUBLISHED_STAYS = "what is published stays"
    """The files of a published output are not removed, and its job is not given up."""

    NUMBERED_WITHOUT_GAP = "seq is gap-free, time runs forward"
    """The events of an asset are 1, 2, 3 … up to its ``last_seq``, in the order of time."""
    HISTORY_IS_LEGAL = "status history is legal and chained"
    """Every change of status is one of TRANSITIONS and begins where the last one ended; attempts
    are counted one by one, and generations never fall."""


GUARANTEES: Mapping[str, tuple[Law, ...]] = {
    "Nothing acknowledged is lost": (
        Law.CREATES_EXIST_ONCE,
        Law.DEEDS_ARE_RECORDED,
        Law.CALLBACKS_ARE_STORED,
    ),
    "A provider is asked once": (Law.ONE_JOB_PER_ATTEMPT,),
    "No job is forgotten at a provider": (
        Law.ONE_ATTEMPT_UNDER_WAY,
        Law.NO_ORPHANS,
        Law.RELEASES_ARE_PAID,
    ),
    "Outdated reports are harmless": (
        Law.CALLBACKS_COUNT_ONCE,
        Law.REPETITIONS_ARE_RECOGNISED,
        Law.FORGERIES_STAY_OUT,
        Law.ENDED_STAYS_ENDED,
    ),
    "A worker that returns too late writes nothing": (Law.TOKENS_RISE, Law.HOLDERS_WRITE_ALONE),
    "Nothing is stuck": (
        Law.ALL_ENDS,
        Law.CALLBACKS_ARE_SETTLED,
        Law.LIVE_HAS_DEADLINE,
        Law.BUDGETS_HOLD,
        Law.LIARS_GET_FEW_JOBS,
        Law.RECOVERED_IN_TIME,
    ),
    "Completed means playable": (Law.COMPLETED_IS_PLAYABLE, Law.PUBLISHED_STAYS),
    "History cannot be rewritten": (Law.NUMBERED_WITHOUT_GAP, Law.HISTORY_IS_LEGAL),
}
"""The laws that each guarantee of docs/reliability.md comes to."""
