"""The life of an asset: five states and the edges between them.

Details inside a state (verifying, submitting, waiting, encoding) are in the chronicle and in
``progress``. ``docs/states.md`` is generated from this module.
"""

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """State of an asset. The database enum ``video_processing_status`` has these labels."""

    QUEUED = "queued"
    """Registered and due for a worker. A worker's claim moves it on; after 24 h it expires."""

    PROCESSING = "processing"
    """A worker holds a lease on it, or a provider has accepted it. A callback, a poll or its
    deadline moves it on."""

    COMPLETED = "completed"
    """Its outputs passed the gate and are published. Only a re-encode moves it on."""

    FAILED = "failed"
    """Ended without new outputs; ``error_code`` names the reason. A manual retry moves it on, or a
    late success of the same generation."""

    RETRYING = "retrying"
    """An attempt failed for a transient reason, or it waits for the network, our machines, our
    storage or a provider. The sweep wakes the next claim at ``next_attempt_at``."""


TRANSITIONS: Mapping[tuple[Status, Status], str] = {
    (Status.QUEUED, Status.PROCESSING): "a worker claimed it (attempt + 1)",
    (Status.RETRYING, Status.PROCESSING): "a worker claimed it (attempt + 1)",
    (Status.QUEUED, Status.FAILED): "cancelled, or its deadline passed (`expired`)",
    (Status.RETRYING, Status.FAILED): (
        "cancelled, or its deadline passed (`expired`, with the code of its last trouble)"
    ),
    (Status.PROCESSING, Status.COMPLETED): "its outputs were reported and passed the gate",
    (Status.PROCESSING, Status.RETRYING): (
        "a job failed for a transient reason and budget is left, or a passing trouble came before "
        "a job or was ours (held: no budget used)"
    ),
    (Status.PROCESSING, Status.FAILED): (
        "terminal failure (a refused source included), budget exhausted (`retry_exhausted`, with "
        "the code of the last job), cancelled, or its workers crashed too often"
    ),
    (Status.FAILED, Status.QUEUED): (
        "manual retry by owner or operator: the budget starts over, the history stays"
    ),
    # These three edges into `completed` are for a provider that finishes after its attempt was
    # abandoned. The result is paid for and verified, so it is used. A cancelled asset stays
    # cancelled.
    (Status.QUEUED, Status.COMPLETED): (
        "`late_success`: a verified success of the current generation"
    ),
    (Status.RETRYING, Status.COMPLETED): (
        "`late_success`: a verified success of the current generation"
    ),
    (Status.FAILED, Status.COMPLETED): (
        "`late_success`: a verified success of the current generation, unless it was cancelled"
    ),
    (Status.COMPLETED, Status.QUEUED): (
        "re-encode (generation + 1): the published output stays until the new one replaces it"
    ),
}
"""Every allowed edge with its reason. Every other change of state is refused."""

WAITING = frozenset({Status.QUEUED, Status.RETRYING})
"""States from which a worker may claim."""

LIVE = WAITING | {Status.PROCESSING}
"""States that have a deadline."""


def is_allowed(current: Status, target: Status) -> bool:
    """Return true if the edge exists."""
    return (current, target) in TRANSITIONS
