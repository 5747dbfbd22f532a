"""Hold reasons: the values of ``hold_reason``, for an asset that waits at no cost to its budget.

This table has our own reasons. If a provider refuses a job for now, the reason is a code of
``pipeline.domain.failures``.
"""

from collections.abc import Mapping

from pipeline.domain.failures import failure_of

AWAITING_ENQUEUE = "awaiting_enqueue"
"""An operator's backfill has registered the asset and has not yet enqueued it."""
PROVIDER_DOWN = "provider_down"
"""The breaker of the asset's provider account is open."""
SPEND_GUARD = "spend_guard"
"""The hourly budget of the asset's provider account is used up."""

PROVIDER_PACED = "provider_paced"
"""The asset has a turn at its provider account, whose vendor takes so many calls in a second."""
PROVIDER_BUSY = "provider_busy"
"""The vendor takes no job now, or asked for a pause of the account: it says when to come back."""
PROVIDER_FULL = "provider_full"
"""The asset's provider account has its most jobs, or as many as it is trusted with on probation."""
PROVIDER_ACCOUNT = "provider_account"
"""The provider refuses every account that can do the job."""
NO_ACCOUNT = "no_account"
"""No account can do the job: each lacks a capability, or is switched off."""

HOLDS: Mapping[str, str] = {
    PROVIDER_PACED: (
        "The processing service takes so many videos at a time. Processing starts in turn."
    ),
    PROVIDER_FULL: (
        "The processing service has as many videos as it may have at once. "
        "Processing starts when one of them is done."
    ),
    NO_ACCOUNT: (
        "No processing service can take this video at present. "
        "Processing starts when the operator makes one available."
    ),
    SPEND_GUARD: (
        "The hourly budget of the processing service is used up. "
        "Processing starts in the next hour, or as soon as the operator raises the budget."
    ),
    PROVIDER_DOWN: (
        "The processing service does not answer. Processing starts when the service answers again."
    ),
    AWAITING_ENQUEUE: (
        "The video is registered only. Processing starts when the operator's backfill enqueues it."
    ),
}


def sentence_of(hold_reason: str) -> str:
    """Return the reason of the wait and its end, for people."""
    return HOLDS.get(hold_reason) or failure_of(hold_reason).message
