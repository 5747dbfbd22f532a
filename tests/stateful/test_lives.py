"""Whatever happens in whatever order, the laws hold."""

from itertools import count
from os import environ

from hypothesis import HealthCheck, seed, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.pipeline.conftest import World
from tests.stateful.machine import Lives
from tests.stateful.patience import patient

EXAMPLES = int(environ.get("KHRONIKA_STATEFUL_EXAMPLES", "0"))
"""How many lives to play. Unset, a few dozen, within half a minute; set, as many as you like."""

PROFILE = settings(
    max_examples=EXAMPLES or 40,
    stateful_step_count=30,
    database=None,
    deadline=None,  # a step runs ffprobe
    suppress_health_check=list(HealthCheck),
)


PLAYS = 4


def _play(repeating: World, posting: World, number: int) -> bool:
    """Play the lives; False when hypothesis gave up without any law broken.

    It expects the same steps to be on offer whenever a beginning is played again. On a machine that
    is busy one of the stalled threads may get further than the last time, and they are not: that
    says nothing about the laws, so the lives are played again from another seed.
    """
    broken: list[AssertionError] = []
    factory = seed(number)(lambda: Lives(repeating, posting, broken))
    try:
        run_state_machine_as_test(factory, settings=PROFILE)  # type: ignore[arg-type]  # any factory will do
    except FlakyStrategyDefinition:
        if broken:
            raise broken[0] from None
        return False
    return True


def test_every_law_holds_whatever_happens(world: World) -> None:
    repeating = World(patient(world.services, repeats=True), world.provider)
    posting = World(patient(world.services, repeats=False), world.provider)
    plays = count(1)
    try:
        while not _play(repeating, posting, number := next(plays)):
            assert number < PLAYS, "no play could be repeated step by step"
    finally:
        repeating.close()
        posting.close()
