"""Short plays that a sound product survives, each aimed at one rule; for a process of their own.

``python -m tests.mutations.plays FOLDER PLAY...`` prints, for each play, the names of the laws it
found broken; FOLDER holds the provider's files. The product is the first ``pipeline`` on the path.
"""

import json
import sys
from collections.abc import Callable, Mapping
from os import environ
from pathlib import Path
from uuid import UUID

from sqlalchemy import create_engine, text

from pipeline.config.groups import load_settings
from pipeline.lifecycle.owner_actions import cancel_asset
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import expire
from pipeline.process_settings import WorkerSettings
from pipeline.runtime.database import with_driver
from pipeline.services import build_services
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import dying_at
from tests.integration.pipeline.conftest import World
from tests.scripted_provider import scripted_provider
from tests.stateful.patience import patient
from tests.stateful.rest import let_time_pass
from tests.stateful.stage import LawBroken, Stage

WITHOUT_NONCE = "KHRONIKA_TEST_WITHOUT_NONCE"
"""Set: the owner's URL of a database whose inbox is to lose the constraint that is the nonce."""


def overtaken_before_its_intent(stage: Stage) -> None:
    """A worker stalls past its lease, another submits, the first goes on."""
    asset_id = _created(stage)
    stalled = stage.stall(lambda: submit(stage.services, asset_id), Boundary.SUBMIT_CLAIMED)
    assert stalled is not None
    stage.world.make_past(asset_id, "lease_expires_at")
    submit(stage.services, asset_id)
    stalled.resume()


def killed_after_its_call(stage: Stage) -> None:
    """A worker dies with the provider's answer in its hands, another takes over."""
    asset_id = _created(stage)
    with dying_at(Boundary.SUBMIT_CALLED):
        submit(stage.services, asset_id)
    stage.world.make_past(asset_id, "lease_expires_at")
    submit(stage.services, asset_id)


def called_back_twice(stage: Stage) -> None:
    """A callback is delivered again, and whatever is in the inbox is read."""
    attempt_id = _submitted(stage)
    signed = stage.report(attempt_id, "completed")
    for _ in range(2):
        stage.deliver(signed)
    for delivery_id in stage.deliveries:
        stage.reconcile(delivery_id)


def overtaken_with_a_delivery(stage: Stage) -> None:
    """A worker stalls over a callback, another applies it, the first goes on."""
    stage.deliver(stage.report(_submitted(stage), "completed"))
    (delivery_id,) = stage.deliveries
    stalled = stage.stall(lambda: stage.reconcile(delivery_id), Boundary.RECONCILE_TAKEN)
    assert stalled is not None
    let_time_pass(stage.world)
    stage.reconcile(delivery_id)
    stalled.resume()


def failed_when_another_was_under_way(stage: Stage) -> None:
    """An attempt that was given up fails after the next has been submitted."""
    old = _submitted(stage)
    asset_id = UUID(stage.books.assets[0].id)
    stage.world.make_past(asset_id, "deadline_at")
    expire(stage.services, asset_id)
    stage.world.make_past(asset_id, "next_attempt_at")
    submit(stage.services, asset_id)
    stage.deliver(stage.report(old, "failed"))
    stage.reconcile(stage.deliveries[0])


def succeeded_after_it_was_given_up(stage: Stage) -> None:
    """An attempt completes after its deadline, when its release is owed and not paid."""
    attempt_id = _submitted(stage)
    asset_id = UUID(stage.books.assets[0].id)
    stage.world.make_past(asset_id, "deadline_at")
    expire(stage.services, asset_id)
    stage.deliver(stage.report(attempt_id, "completed"))
    stage.reconcile(stage.deliveries[0])


def succeeded_after_it_was_cancelled(stage: Stage) -> None:
    """An attempt completes after its owner has cancelled the asset."""
    attempt_id = _submitted(stage)
    stage.as_owner(cancel_asset, UUID(stage.books.assets[0].id))
    stage.deliver(stage.report(attempt_id, "completed"))
    stage.reconcile(stage.deliveries[0])


def released_before_it_was_there(stage: Stage) -> None:
    """A call outlasts every bound: its job appears after its release was paid."""
    asset_id = _created(stage)
    stalled = stage.stall(lambda: submit(stage.services, asset_id), Boundary.SUBMIT_INTENDED)
    assert stalled is not None
    stage.check()
    stage.as_owner(cancel_asset, asset_id)
    let_time_pass(stage.world)
    release(stage.services, stage.world.attempt_id(asset_id))
    stage.script()
    stalled.resume()


PLAYS: Mapping[str, Callable[[Stage], None]] = {
    play.__name__: play
    for play in (
        overtaken_before_its_intent,
        killed_after_its_call,
        called_back_twice,
        overtaken_with_a_delivery,
        failed_when_another_was_under_way,
        succeeded_after_it_was_given_up,
        succeeded_after_it_was_cancelled,
        released_before_it_was_there,
    )
}


def _created(stage: Stage) -> UUID:
    asset_id = stage.world.create()
    stage.check()
    return asset_id


def _submitted(stage: Stage) -> UUID:
    asset_id = _created(stage)
    submit(stage.services, asset_id)
    stage.check()
    return stage.world.attempt_id(asset_id)


def broken_laws(name: str, folder: Path) -> list[str]:
    """Play it to its end and let the world come to rest; the laws that were broken first."""
    with scripted_provider(folder) as provider:
        environ["KHRONIKA_SELFHOSTED_URL"] = provider.url
        services = patient(build_services(load_settings(WorkerSettings)), repeats=False)
        world = World(services, provider)
        try:
            stage = Stage(world, strictly=True)
            PLAYS[name](stage)
            stage.check()
            stage.come_to_rest()
        except LawBroken as broken:
            return [law.name for law in broken.laws]
        finally:
            world.close()
            services.engine.dispose()
    return []


def drop_nonce(owner_url: str) -> None:
    """Take from the inbox what makes an event unique."""
    engine = create_engine(with_driver(owner_url))
    with engine.begin() as connection:
        connection.execute(
            text("ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_event")
        )
    engine.dispose()


if __name__ == "__main__":
    if WITHOUT_NONCE in environ:
        drop_nonce(environ[WITHOUT_NONCE])
    folder, *plays = sys.argv[1:]
    print(json.dumps({play: broken_laws(play, Path(folder)) for play in plays}))
