"""The error of a job for each failure of a disk: whose disk it is decides, not its number."""

import errno

import pytest

from pipeline.domain.failures import failure_of
from pipeline.domain.faults import Fault
from transcoder.scratch_space import FULL
from transcoder.storage_faults import blaming_the_storage
from transcoder.transcode import job_error

EVERY_NUMBER = sorted(errno.errorcode)


@pytest.mark.parametrize("number", EVERY_NUMBER, ids=[errno.errorcode[n] for n in EVERY_NUMBER])
def test_every_failure_of_the_storage_is_charged_to_the_storage(number: int) -> None:
    with pytest.raises(Exception) as raised, blaming_the_storage():  # noqa: PT011 - any will do
        raise OSError(number, "scripted")

    error = job_error(raised.value)
    assert failure_of(error["code"]).fault is Fault.STORAGE
    assert error["retryable"]


@pytest.mark.parametrize("number", EVERY_NUMBER, ids=[errno.errorcode[n] for n in EVERY_NUMBER])
def test_a_failure_of_our_own_disk_is_charged_to_no_video(number: int) -> None:
    error = job_error(OSError(number, "scripted"))

    assert failure_of(error["code"]).fault is Fault.HOST
    assert error["code"] == ("insufficient_space" if number in FULL else "host_unfit")
    assert error["retryable"]
