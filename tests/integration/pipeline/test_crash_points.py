"""A process dies at every boundary there is; whoever comes after it finishes what it began.

For each boundary a process of its own does the deed on the real database and the scripted provider
and is killed there. Then time passes, sweeps run, and the world must come to rest as if nothing had
happened: the asset where it belongs, one job for each attempt, no orphan, every debt paid, every
callback settled once, the chronicle legal and without a gap, the storage clean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from sqlalchemy import select

from pipeline.domain.states import Status
from pipeline.operations.purge import purge
from pipeline.records.models import Asset, Attempt, Upload
from pipeline.runtime.database import session_of
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import KILLED
from tests.integration.pipeline import crash_scenes as scenes
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.crashing import SURVIVED, exit_code_of
from tests.stateful.rest import assert_laws_at_rest

COMPLETED = (Status.COMPLETED, None)
CANCELLED = (Status.FAILED, "cancelled")


@dataclass(frozen=True)
class Scene:
    """A world in which a boundary is about to be reached.

    Attributes:
        deed: What the process that dies is doing; a key of ``crashing.DEEDS``.
        arrange: Makes the world; returns what the deed is given.
        ends: The states the assets are to reach all the same, with their error codes.
        after: What those who called do when they got no answer.
    """

    deed: str
    arrange: Callable[[World], scenes.Given]
    ends: tuple[tuple[Status, str | None], ...] = (COMPLETED,)
    after: Callable[[World], object] = lambda _: None


SCENES: tuple[tuple[Boundary, Scene], ...] = (
    (Boundary.SUBMIT_CLAIMED, Scene("submit", scenes.waiting)),
    (Boundary.SUBMIT_VERIFIED, Scene("submit", scenes.waiting)),
    (Boundary.SUBMIT_INTENDED, Scene("submit", scenes.waiting)),
    (Boundary.SUBMIT_CALLED, Scene("submit", scenes.waiting)),
    (Boundary.SUBMIT_REFUSED, Scene("submit", partial(scenes.waiting, answer="503"))),
    (Boundary.SUBMIT_UNANSWERED, Scene("submit", partial(scenes.waiting, answer="drop"))),
    (Boundary.SUBMIT_UNANSWERED, Scene("submit", partial(scenes.waiting, answer="500"))),
    (Boundary.LOOKUP_ANSWERED, Scene("submit", scenes.unanswered)),
    (Boundary.RECONCILE_TAKEN, Scene("reconcile", scenes.called_back)),
    (Boundary.GATE_PASSED, Scene("reconcile", scenes.called_back)),
    (Boundary.GATE_PASSED, Scene("poll", scenes.silent)),
    (Boundary.POLL_TAKEN, Scene("poll", scenes.silent)),
    (Boundary.POLL_ANSWERED, Scene("poll", scenes.silent)),
    (Boundary.RELEASE_CALLED, Scene("release", scenes.cancelled, ends=(CANCELLED,))),
    (Boundary.SWEEP_MARKED, Scene("sweep", scenes.unwoken)),
    (Boundary.SWEEP_EXPIRED, Scene("sweep", scenes.overdue)),
    (Boundary.PURGE_MARKED, Scene("purge", scenes.replaced)),
    (Boundary.PURGE_MARKED, Scene("purge", scenes.unclaimed, ends=())),
    (Boundary.PURGE_EMPTIED, Scene("purge", scenes.replaced)),
    (Boundary.PURGE_SOURCE_GONE, Scene("purge", scenes.deleted, ends=())),
    (Boundary.PURGE_UPLOAD_GONE, Scene("purge", scenes.abandoned, ends=())),
    (Boundary.UPLOAD_OPENED, Scene("upload", scenes.ticket, after=scenes.send_and_use_upload)),
    (Boundary.UPLOAD_STORED, Scene("upload", scenes.ticket, after=scenes.send_and_use_upload)),
    (Boundary.UPLOAD_ASSEMBLED, Scene("complete", scenes.uploaded, after=scenes.use_upload)),
    (Boundary.UPLOAD_CHECKED, Scene("complete", scenes.uploaded, after=scenes.use_upload)),
    (Boundary.UPLOAD_GIVEN_UP, Scene("abandon", scenes.uploaded, ends=())),
    (Boundary.TASK_COMMITTED, Scene("sweep task", scenes.unwoken)),
    (Boundary.TASK_PUBLISHED, Scene("sweep task", scenes.unwoken)),
    (Boundary.REQUEST_COMMITTED, Scene("request", scenes.requested)),
    (Boundary.REQUEST_COMMITTED, Scene("request", scenes.calling_back)),
    (Boundary.REQUEST_PUBLISHED, Scene("request", scenes.requested)),
    (Boundary.REQUEST_PUBLISHED, Scene("request", scenes.calling_back)),
)


ONLY_AT_VENDORS = {Boundary.FOLLOW_UP_CALLED}
"""Boundaries that the scripted provider does not lead to; `vendors/test_vendor_follow_ups.py`."""


def test_every_boundary_has_a_scene() -> None:
    assert {boundary for boundary, _ in SCENES} == set(Boundary) - ONLY_AT_VENDORS


@pytest.mark.parametrize(
    ("boundary", "scene"), SCENES, ids=[f"{at}-{scene.deed}" for at, scene in SCENES]
)
def test_what_a_killed_process_began_is_finished(
    world: World, boundary: Boundary, scene: Scene
) -> None:
    given = scene.arrange(world)

    assert exit_code_of(boundary, scene.deed, *given) == KILLED

    scene.after(world)
    assert_laws_at_rest(world)
    purge(world.services)
    assert_laws_at_rest(world)
    assert ends(world) == list(scene.ends)
    assert storage_keeps_only_what_is_named(world)
    assert world.services.storage.remove_unfinished(older_than_sec=0, dry_run=True) == 0


def test_an_unarmed_process_passes_every_boundary(world: World) -> None:
    (asset_id,) = scenes.waiting(world)

    assert exit_code_of(Boundary.PURGE_MARKED, "submit", asset_id) == SURVIVED


def test_what_a_killed_upload_left_goes_once_nobody_can_be_writing_it(world: World) -> None:
    assert exit_code_of(Boundary.UPLOAD_STORED, "upload", *scenes.ticket(world)) == KILLED
    storage = world.services.storage

    assert purge(world.services).reclaimed_bytes == 0  # a slow writer may be at it still
    assert storage.remove_unfinished(older_than_sec=0, dry_run=True) == len(scenes.CONTENT)
    assert storage.remove_unfinished(older_than_sec=0) == len(scenes.CONTENT)
    assert storage.remove_unfinished(older_than_sec=0) == 0


def ends(world: World) -> list[tuple[Status, str | None]]:
    """Where the assets that were not deleted are."""
    with session_of(world.services.engine) as session:
        kept = session.scalars(select(Asset).where(Asset.deleted_at.is_(None)))
        return [(asset.status, asset.error_code) for asset in kept]


def storage_keeps_only_what_is_named(world: World) -> bool:
    """Files of attempts that are not purged, and content of uploads that are not given up."""
    with session_of(world.services.engine) as session:
        attempts = session.scalars(select(Attempt.id).where(Attempt.purged_at.is_(None)))
        gone = select(Asset.id).where(Asset.purged_at.is_not(None))
        uploads = session.scalars(select(Upload.id).where(Upload.id.not_in(gone)))
        named = {str(id_) for id_ in (*attempts, *uploads)}
    return all(named & set(stat.key.split("/")) for stat in world.services.storage.list())
