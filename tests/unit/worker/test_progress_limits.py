"""The limits of a task count from its last progress."""

import signal
import subprocess
import sys
from functools import partial

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from worker.progress_limits import limited, wind

HANGS = """
import signal
from celery.exceptions import SoftTimeLimitExceeded
from worker.progress_limits import wind

wind(0.01, 0.02)
while True:
    try:
        signal.pause()
    except SoftTimeLimitExceeded:
        pass
"""


def test_a_task_that_does_not_get_on_is_asked_to_end() -> None:
    with pytest.raises(SoftTimeLimitExceeded), limited(partial(wind, 0.01, 60)):
        signal.pause()


def test_a_task_that_does_not_end_then_is_killed() -> None:
    hanging = subprocess.run([sys.executable, "-W", "ignore", "-c", HANGS], check=False)
    assert hanging.returncode == -signal.SIGALRM


def test_a_task_that_gets_on_has_its_whole_time_again() -> None:
    with limited(partial(wind, 60, 120)):
        signal.setitimer(signal.ITIMER_REAL, 30)  # half of it has passed
        wind(60, 120)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 30


def test_the_limits_end_with_the_task() -> None:
    with limited(partial(wind, 60, 120)):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
