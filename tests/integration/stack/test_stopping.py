import signal
import sys
from pathlib import Path

import pytest

from tests.conditions import wait_until
from tests.integration.stack.conftest import Start
from tests.integration.stack.stack_runs import SERVING, STAND_IN, gone, kill


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stack_that_is_asked_to_stop_leaves_no_process(
    start: Start, place: Path, number: signal.Signals
) -> None:
    up = start(place)
    up.wait_until_ready()
    family = up.family()
    assert {"postgres", "valkey-server"} <= up.programs()

    assert up.stop(number) == 0
    assert gone(family)


def test_a_process_that_ignores_every_signal_goes_and_so_does_its_child(
    start: Start, place: Path
) -> None:
    up = start(place, f"{SERVING}stubborn: {STAND_IN} stubborn\n")
    up.wait_until_ready()
    wait_until(lambda: sum("stubborn" in p.cmdline() for p in up.family()) == 2, "both are there")
    family = up.family()

    assert up.stop() == 0
    assert gone(family)


def test_a_process_that_dies_at_start_up_stops_the_stack_and_is_quoted(
    start: Start, place: Path
) -> None:
    up = start(place, f"{SERVING}broken: {STAND_IN} fail\n")
    assert up.ended() == 1
    assert "broken ended (exit code 3)" in up.output
    assert "  the flux capacitor is missing" in up.lines


def test_a_process_that_dies_later_stops_the_stack(start: Start, place: Path) -> None:
    up = start(place)
    up.wait_until_ready()
    family = up.family()
    kill([process for process in family if "KHRONIKA_TRANSCODER_BIND" in process.cmdline()])

    assert up.ended() == 1
    assert "transcoder ended (killed by SIGKILL)" in up.output
    assert gone(family)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_stack_that_is_killed_takes_its_processes_with_it(start: Start, place: Path) -> None:
    up = start(place)
    up.wait_until_ready()
    family = up.family()
    kill(family[:1])
    wait_until(lambda: gone(family), "the kernel told every child")
