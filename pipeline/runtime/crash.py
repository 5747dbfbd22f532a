"""Where a process may die: every boundary between two effects, by name.

The variable ``KHRONIKA_CRASH_AT`` names one, and the process that reaches it ends there as it
would under SIGKILL: nothing is flushed, closed or rolled back by us. Unset, a crash point is one
look into the environment. Crash points lie outside transactions: inside one there is no boundary,
because the database takes all of it or nothing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

VARIABLE = "KHRONIKA_CRASH_AT"

KILLED = 137
"""The exit code a shell reports of a process that SIGKILL ended: 128 + 9."""


class Boundary(StrEnum):
    """Between which two effects."""

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


_observer: ContextVar[Callable[[Boundary], None] | None] = ContextVar("observer", default=None)


def crash_point(boundary: Boundary) -> None:
    """Die here, if the environment says so."""
    if os.environ.get(VARIABLE) == boundary:
        os._exit(KILLED)
    observer = _observer.get()
    if observer is not None:
        observer(boundary)


@contextmanager
def observed(observer: Callable[[Boundary], None]) -> Iterator[None]:
    """Call ``observer`` at every boundary that this thread reaches inside the block.

    For tests that must outlive the crash: an observer may raise to end a use case where a kill
    would have, or wait, to let a worker go on after the world has moved.
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)
