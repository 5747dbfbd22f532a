"""Let the world come to rest: time passes, sweeps wake, workers work, until nothing is due."""

from pipeline.config.task_names import (
    TASK_POLL,
    TASK_RECONCILE,
    TASK_RELEASE,
    TASK_SUBMIT,
    TASK_WITHDRAW,
)
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.operations.withdraw import withdraw
from pipeline.runtime.wakes import Wake
from pipeline.services import Services
from tests.integration.pipeline.conftest import World
from tests.laws.books import Books
from tests.laws.checks import ALWAYS, AT_REST, Checks
from tests.scripted_provider import ScriptedProvider
from tests.stateful.books import books_of
from tests.stateful.laws import breaches

USE_CASES = {
    TASK_SUBMIT: submit,
    TASK_RECONCILE: reconcile,
    TASK_POLL: poll,
    TASK_RELEASE: release,
    TASK_WITHDRAW: withdraw,
}

ROUNDS = 40
"""Each round brings every asset at least one step on; the longest way, through every attempt of
the budget and two look-ups for each, has about 25."""

A_DAY_LATER = (
    "UPDATE video_assets SET woken_at = woken_at - interval '1 day',"
    " lease_expires_at = lease_expires_at - interval '1 day',"
    " next_attempt_at = next_attempt_at - interval '1 day',"
    " next_poll_at = next_poll_at - interval '1 day'"
)
CALLS_HAVE_ENDED = "UPDATE provider_attempts SET intended_at = intended_at - interval '1 day'"
TRIES_ARE_DUE = "UPDATE webhook_deliveries SET next_try_at = next_try_at - interval '1 day'"


def let_time_pass(world: World) -> None:
    """A day in which no deadline falls: whatever was waited for is due, every call has ended."""
    for statement in (A_DAY_LATER, CALLS_HAVE_ENDED, TRIES_ARE_DUE):
        world.execute(statement)


def work(services: Services, wake: Wake) -> str:
    """Do what a worker does with this message."""
    return USE_CASES[wake.task](services, wake.id).result


def finish_jobs(provider: ScriptedProvider) -> None:
    """The provider ends well whatever it still has."""
    for id_, job in provider.jobs.items():
        if job["status"] in {"queued", "running"} and id_ not in provider.cancelled:
            provider.finish(id_)


def come_to_rest(world: World) -> None:
    """Run sweeps, and what they wake, until they find nothing."""
    world.provider.script.clear()
    world.provider.gets.clear()
    world.provider.deletes.clear()
    for _ in range(ROUNDS):
        finish_jobs(world.provider)
        let_time_pass(world)
        wakes = sweep(world.services).wakes
        if not wakes:
            return
        for wake in wakes:
            work(world.services, wake)
    raise AssertionError(f"something is due for ever: {wakes}")


def assert_laws(world: World, *more: Checks[Books]) -> None:
    """Require every law now."""
    books = books_of(world.services.engine, world.provider)
    assert not breaches(books, ALWAYS, *more)


def assert_laws_at_rest(world: World) -> None:
    """Let the world come to rest, and require every law there."""
    come_to_rest(world)
    assert_laws(world, AT_REST)
