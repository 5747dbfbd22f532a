"""Steps of a video's life: a report of its provider, an action of its owner."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from pipeline.lifecycle.owner_actions import (
    Changed,
    cancel_asset,
    delete_asset,
    reencode_asset,
    retry_asset,
)
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from pipeline.runtime.database import user_session
from tests.integration.pipeline.conftest import OWNER, World
from tests.scripted_provider import callback

ACTOR = f"owner:{OWNER}"


def report(world: World, job: Mapping[str, Any], type_: str | None = None) -> str:
    """Deliver a callback about a job and apply it; return the result."""
    received = world.receive(callback(job, type_))
    assert received.wake is not None
    return reconcile(world.services, received.wake.id).result


def complete(world: World, asset_id: UUID, **result: Any) -> UUID:
    """Submit an asset and report its job as finished; return the attempt."""
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    finished = world.provider.finish(attempt_id, **result)
    assert report(world, finished) in {"completed", "late_success"}
    return attempt_id


def as_owner(world: World, verb: Callable[..., Any], asset_id: UUID, **more: Any) -> Any:
    """Do something to an asset as its owner does through the API."""
    post_id = world.asset(asset_id).post_id
    with user_session(world._api, OWNER) as session:
        return verb(session, post_id, actor=ACTOR, **more)


def cancel(world: World, asset_id: UUID) -> Changed:
    changed: Changed = as_owner(world, cancel_asset, asset_id)
    return changed


def delete(world: World, asset_id: UUID) -> Changed:
    changed: Changed = as_owner(world, delete_asset, asset_id)
    return changed


def retry(world: World, asset_id: UUID) -> Changed:
    return _start_over(world, retry_asset, asset_id)


def reencode(world: World, asset_id: UUID) -> Changed:
    return _start_over(world, reencode_asset, asset_id)


def _start_over(world: World, verb: Callable[..., Any], asset_id: UUID) -> Changed:
    limits = world.api.owner_limits
    changed: Changed = as_owner(world, verb, asset_id, retry=world.api.retry, owner_limits=limits)
    return changed
