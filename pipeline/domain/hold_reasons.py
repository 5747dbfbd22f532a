"""Why an asset waits without spending its retry budget: the one table of ``hold_reason``.

A provider that would not take a job gives one of ``pipeline.domain.failures`` as the reason; what
is in this table are our own reasons.
"""

from collections.abc import Mapping

from pipeline.domain.failures import failure_of

AWAITING_ENQUEUE = "awaiting_enqueue"
"""The reason of an asset that an operator's backfill has registered and not yet enqueued."""

HOLDS: Mapping[str, str] = {
    "spend_guard": (
        "The hourly budget of the processing service is used up. "
        "It is taken up by itself in the next hour, or as soon as the operator raises the budget."
    ),
    "provider_down": (
        "The processing service does not answer. It is taken up by itself when the service is back."
    ),
    AWAITING_ENQUEUE: (
        "It is registered only. It is taken up when the operator's backfill enqueues it."
    ),
}


def sentence_of(hold_reason: str) -> str:
    """What an asset waits for, in words for people."""
    return HOLDS.get(hold_reason) or failure_of(hold_reason).message
