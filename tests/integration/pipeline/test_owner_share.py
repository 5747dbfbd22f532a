"""An owner's slow sources take a share of the processes that read sources, and no more."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from pipeline.config.task_names import wake_submit
from pipeline.domain.states import Status
from pipeline.lifecycle.claim import Claim, NoClaim, claim_asset
from pipeline.lifecycle.submit import submit
from pipeline.runtime.database import session_of
from pipeline.services import Services
from tests.integration.pipeline.conftest import World, with_changed
from tests.scripted_provider import ScriptedProvider

MOST = 3


@pytest.fixture
def world(services: Services, provider: ScriptedProvider, superuser_url: str) -> Iterator[World]:
    limited = with_changed(services, "owner_limits", max_reading=MOST)
    world = World(limited, provider, superuser_url)
    yield world
    world.close()


def claim(world: World, asset_id: UUID) -> Claim | NoClaim:
    with session_of(world.services.engine) as session:
        return claim_asset(world.services, session, asset_id)


def test_an_owner_has_few_sources_read_at_once_and_others_go_on(world: World) -> None:
    mine = [world.create() for _ in range(MOST + 1)]
    theirs = world.create()
    world.execute("UPDATE video_assets SET owner_id = 'somebody' WHERE id = :id", id=theirs)
    assert all(isinstance(claim(world, each), Claim) for each in mine[:MOST])
    assert claim(world, mine[MOST]) == NoClaim("others_of_owner_first")
    waiting = world.asset(mine[MOST])
    assert (waiting.status, waiting.hold_reason) == (Status.QUEUED, None)
    assert isinstance(claim(world, theirs), Claim)


def test_a_worker_that_died_holds_no_share(world: World) -> None:
    mine = [world.create() for _ in range(MOST + 1)]
    for each in mine[:MOST]:
        claim(world, each)
    world.execute("UPDATE video_assets SET lease_expires_at = now() WHERE id = :id", id=mine[0])
    assert isinstance(claim(world, mine[MOST]), Claim)


def test_the_end_of_a_submission_wakes_the_next_video_of_the_owner(world: World) -> None:
    first, second = world.create(), world.create()
    assert wake_submit(second) in submit(world.services, first).wakes
    assert world.asset(first).provider_job_id is not None
    assert wake_submit(first) not in submit(world.services, second).wakes


def test_a_source_that_was_read_takes_no_share(world: World) -> None:
    for _ in range(MOST):
        submit(world.services, world.create())
    assert isinstance(claim(world, world.create()), Claim)
