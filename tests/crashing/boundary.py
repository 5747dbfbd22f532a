"""The boundaries at which a process may die or stop: each lies between two effects.

Boundaries lie outside transactions: inside one there is none, because the database takes all of it
or nothing.
"""

from enum import StrEnum


class Boundary(StrEnum):
    """Boundaries between two effects of the product, named after the effect before."""

    SUBMIT_CLAIMED = "submit_claimed"
    """The claim is committed; the source has not been looked at."""
    SUBMIT_VERIFIED = "submit_verified"
    """The source is measured; the intent to call the provider is not committed."""
    SUBMIT_INTENDED = "submit_intended"
    """The intent is committed; the provider has not been called."""
    SUBMIT_CALLED = "submit_called"
    """The provider has accepted the job; nothing says so."""
    SUBMIT_REFUSED = "submit_refused"
    """The provider has refused the job; nothing says so."""
    SUBMIT_UNANSWERED = "submit_unanswered"
    """The provider did not answer; nothing says so."""
    LOOKUP_ANSWERED = "lookup_answered"
    """The provider has said whether it has the job; nothing says so."""

    RECONCILE_TAKEN = "reconcile_taken"
    """The try of a delivery is counted; the delivery has not been read."""
    GATE_PASSED = "gate_passed"
    """The outputs have been looked at; the verdict is not written."""
    POLL_TAKEN = "poll_taken"
    """The next poll is set; the provider has not been asked."""
    POLL_ANSWERED = "poll_answered"
    """The provider has said how the job stands; nothing is written."""
    FOLLOW_UP_CALLED = "follow_up_called"
    """The provider has taken a follow-up call; nothing says so."""
    RELEASE_CALLED = "release_called"
    """The provider has given the job up; the debt still stands."""

    SWEEP_MARKED = "sweep_marked"
    """Due assets are marked as woken; nobody has been."""
    SWEEP_EXPIRED = "sweep_expired"
    """A deadline is enforced; the debts it made have woken nobody."""
    PURGE_MARKED = "purge_marked"
    """An attempt's files count as gone; they are there."""
    PURGE_EMPTIED = "purge_emptied"
    """An attempt's files are gone; the row still asks for it."""
    PURGE_SOURCE_GONE = "purge_source_gone"
    """A deleted asset's source is gone; its tombstone does not say so."""
    PURGE_UPLOAD_GONE = "purge_upload_gone"
    """An abandoned upload's content is gone; its ticket is there."""

    UPLOAD_OPENED = "upload_opened"
    """The storage is ready for the parts of an upload; its row does not say under which name."""
    UPLOAD_STORED = "upload_stored"
    """A part is in the storage; no row says so."""
    UPLOAD_ASSEMBLED = "upload_assembled"
    """The parts of an upload are one object; its row does not say so."""
    UPLOAD_CHECKED = "upload_checked"
    """The content of an upload has been checked; the upload is not completed."""
    UPLOAD_GIVEN_UP = "upload_given_up"
    """An upload counts as expired; what has arrived of it is there."""

    TASK_COMMITTED = "task_committed"
    """A task's use case has ended; whom it wakes has not been woken, the message not acked."""
    TASK_PUBLISHED = "task_published"
    """Whom a task wakes has been woken; its own message is not acked."""
    REQUEST_COMMITTED = "request_committed"
    """A request has committed; nobody has been woken, the caller not answered."""
    REQUEST_PUBLISHED = "request_published"
    """A request's worker has been woken; the caller has not been answered."""
