"""Whatever happens in whatever order, the laws hold."""

from os import environ

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.pipeline.conftest import World
from tests.stateful.machine import Lives
from tests.stateful.patience import patient

EXAMPLES = int(environ.get("KHRONIKA_STATEFUL_EXAMPLES", "0"))
"""How many lives to play. Unset, the same few dozen every time, within half a minute; set, as
many as you like, others every time."""

PROFILE = settings(
    max_examples=EXAMPLES or 40,
    stateful_step_count=30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,  # a step runs ffprobe
    suppress_health_check=list(HealthCheck),
)


def test_every_law_holds_whatever_happens(world: World) -> None:
    repeating = World(patient(world.services, repeats=True), world.provider)
    posting = World(patient(world.services, repeats=False), world.provider)
    try:
        run_state_machine_as_test(
            lambda: Lives(repeating, posting),  # type: ignore[arg-type]  # any factory will do
            settings=PROFILE,
        )
    finally:
        repeating.close()
        posting.close()
