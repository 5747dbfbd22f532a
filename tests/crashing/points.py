"""The calls of the product at which the boundaries lie.

A point is a call of the provider's adapter, of the storage, of the publisher, or of the function
that holds a transaction or reads a source or outputs. Before the call, or after it, no other effect
lies between the point and its boundary.
"""

from enum import Enum
from typing import NamedTuple

from pipeline.domain.errors import ProviderError, UnknownOutcome
from tests.crashing.boundary import Boundary


class When(Enum):
    """Moments of a call."""

    BEFORE = "before"
    AFTER = "after"
    """The call returned, and did not return False."""
    RAISED = "raised"


class Point(NamedTuple):
    """A moment of a call of the product.

    Attributes:
        owner: The module, or the module and class, that has the function.
        name: The function.
        caller: The name of the calling function; empty for any.
        error: The error of ``RAISED``. Of two points the first one matches.
    """

    boundary: Boundary
    when: When
    owner: str
    name: str
    caller: str = ""
    error: type[Exception] = Exception


ADAPTER = "pipeline.providers.manners:Mannered"
STORAGE = "pipeline.storage.local:LocalStorage"
PUBLISHER = "api.wiring.publisher:Publisher"
SUBMIT = "pipeline.lifecycle.submit"
PURGE = "pipeline.operations.purge"
COMPLETE = "pipeline.uploads.complete"

POINTS = (
    Point(Boundary.SUBMIT_CLAIMED, When.BEFORE, SUBMIT, "_submit_claimed"),
    Point(Boundary.SUBMIT_VERIFIED, When.AFTER, SUBMIT, "measure_claimed"),
    Point(Boundary.SUBMIT_INTENDED, When.AFTER, SUBMIT, "_intend"),
    Point(Boundary.SUBMIT_CALLED, When.AFTER, ADAPTER, "submit"),
    Point(Boundary.SUBMIT_UNANSWERED, When.RAISED, ADAPTER, "submit", error=UnknownOutcome),
    Point(Boundary.SUBMIT_REFUSED, When.RAISED, ADAPTER, "submit", error=ProviderError),
    Point(Boundary.LOOKUP_ANSWERED, When.AFTER, ADAPTER, "find", caller="look_up"),
    Point(
        Boundary.RECONCILE_TAKEN, When.BEFORE, "pipeline.lifecycle.reconcile", "_reconcile_taken"
    ),
    Point(Boundary.GATE_PASSED, When.AFTER, "pipeline.lifecycle.apply_report", "_look_at"),
    Point(Boundary.POLL_TAKEN, When.BEFORE, ADAPTER, "fetch", caller="_ask"),
    Point(Boundary.POLL_ANSWERED, When.AFTER, ADAPTER, "fetch", caller="_ask"),
    Point(Boundary.FOLLOW_UP_CALLED, When.AFTER, ADAPTER, "advance"),
    Point(Boundary.RELEASE_CALLED, When.AFTER, ADAPTER, "cancel", caller="release"),
    Point(Boundary.SWEEP_MARKED, When.BEFORE, "pipeline.lifecycle.sweep", "_expire_late"),
    Point(Boundary.SWEEP_EXPIRED, When.AFTER, "pipeline.lifecycle.sweep", "_expire_late"),
    Point(Boundary.PURGE_MARKED, When.AFTER, PURGE, "_mark_attempt"),
    Point(Boundary.PURGE_MARKED, When.AFTER, PURGE, "_mark_unclaimed"),
    Point(Boundary.PURGE_EMPTIED, When.AFTER, PURGE, "_remove", caller="_purge_attempt"),
    Point(Boundary.PURGE_SOURCE_GONE, When.AFTER, PURGE, "_remove", caller="_purge_asset"),
    Point(Boundary.PURGE_UPLOAD_GONE, When.AFTER, PURGE, "discard", caller="_purge_upload"),
    Point(Boundary.UPLOAD_OPENED, When.AFTER, STORAGE, "start_multipart", caller="_multipart"),
    Point(Boundary.UPLOAD_STORED, When.AFTER, STORAGE, "put_part", caller="receive_part"),
    Point(Boundary.UPLOAD_ASSEMBLED, When.AFTER, STORAGE, "complete_multipart", "_assemble"),
    Point(Boundary.UPLOAD_CHECKED, When.AFTER, COMPLETE, "_measure"),
    Point(Boundary.UPLOAD_GIVEN_UP, When.BEFORE, COMPLETE, "discard", caller="abandon_upload"),
    Point(Boundary.TASK_COMMITTED, When.BEFORE, "worker.tasks", "_finish"),
    Point(Boundary.TASK_PUBLISHED, When.AFTER, "worker.tasks", "_finish"),
    Point(Boundary.REQUEST_COMMITTED, When.BEFORE, PUBLISHER, "publish"),
    Point(Boundary.REQUEST_PUBLISHED, When.AFTER, PUBLISHER, "publish"),
)
