"""Faults: the party that a failure is charged to, and the consequence for the video.

The fault of each failure code is in ``pipeline.domain.failures``. ``docs/failures.md`` is
generated from both modules.
"""

from enum import StrEnum


class Fault(StrEnum):
    """Party that a failure is charged to."""

    SOURCE = "source"
    """The file or its address, or a wish of its owner. A failure that lasts ends the video."""
    NETWORK = "network"
    """The way to the source, or the source's server for the moment. The video waits."""
    PROVIDER = "provider"
    """The processing service. Before it took the job the video waits. A job that it took spends one
    failure of the retry budget; another account is preferred after two."""
    HOST = "host"
    """A machine of ours. It gets no work until it has proved itself; the video waits for another
    one."""
    STORAGE = "storage"
    """Our storage. The video waits until the storage is there, and the operators are told."""
    US = "us"
    """The pipeline itself, or a decision of its operators. The video waits while that may help."""


PASSING = frozenset({Fault.NETWORK, Fault.HOST, Fault.STORAGE, Fault.US})
"""Faults that are no verdict on a job: trying again costs nothing but time."""


def waits(fault: Fault, *, retryable: bool, took_job: bool, bills: bool) -> bool:
    """Return true if the video waits at no cost to its retry budget, until its deadline.

    Args:
        retryable: The reporter says that another attempt may succeed.
        took_job: The provider took the job, and reported its failure.
        bills: The provider may bill a job that failed. Then only the budget bounds the cost.
    """
    if not retryable or not took_job:
        return retryable
    return fault in PASSING and not bills
