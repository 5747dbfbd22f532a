"""Starting over is work as much as registering is: an owner's cap holds for it too."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from pipeline.domain.errors import LimitReached
from pipeline.lifecycle.owner_actions import reencode_asset, retry_asset
from pipeline.records.models import Asset
from pipeline.runtime.database import session_of, user_session
from tests.integration.pipeline.conftest import OWNER, World
from tests.integration.pipeline.test_concurrency import at_once

Verb = Callable[..., Any]
FAILED = "status = 'failed', error_code = 'expired', next_attempt_at = NULL"
COMPLETED = "status = 'completed', published_output_id = gen_random_uuid(), next_attempt_at = NULL"


def ended(world: World, how: str) -> Asset:
    asset_id = world.create()
    world.execute(f"UPDATE video_assets SET {how}, deadline_at = NULL WHERE id = :id", id=asset_id)
    return world.asset(asset_id)


def start_over(world: World, verb: Verb, post_id: UUID, *, most: int) -> str:
    limits = world.api.owner_limits.model_copy(update={"max_live": most})
    with user_session(world._api, OWNER) as session:
        done = verb(
            session, post_id, retry=world.api.retry, owner_limits=limits, actor=f"owner:{OWNER}"
        )
    return str(done.asset.status)


@pytest.mark.parametrize(("verb", "how"), [(retry_asset, FAILED), (reencode_asset, COMPLETED)])
def test_nothing_is_started_over_beyond_the_cap_but_by_an_operator(
    world: World, verb: Verb, how: str
) -> None:
    asset = ended(world, how)
    world.create()

    with pytest.raises(LimitReached) as refused:
        start_over(world, verb, asset.post_id, most=1)

    assert (refused.value.code, refused.value.extra) == (
        "too_many_in_flight",
        {"limit": 1, "used": 1},
    )
    assert world.asset(asset.id).status == asset.status
    assert world.types(asset.id) == ["created"]

    limits = world.api.owner_limits.model_copy(update={"max_live": 1})
    with session_of(world.operator) as session:
        verb(
            session, asset.post_id, retry=world.api.retry, owner_limits=limits, actor="operator:ops"
        )
    assert world.asset(asset.id).status == "queued"


@pytest.mark.parametrize(("verb", "how"), [(retry_asset, FAILED), (reencode_asset, COMPLETED)])
def test_of_many_started_over_at_once_exactly_as_many_pass_as_there_is_room_for(
    world: World, verb: Verb, how: str
) -> None:
    posts = [ended(world, how).post_id for _ in range(6)]

    def persist(post_id: UUID) -> str:
        while True:
            try:
                return start_over(world, verb, post_id, most=2)
            except LimitReached as refused:
                if refused.code != "owner_busy":
                    return refused.code

    told = Counter(at_once(*[lambda post_id=post_id: persist(post_id) for post_id in posts]))

    assert told == {"queued": 2, "too_many_in_flight": 4}
