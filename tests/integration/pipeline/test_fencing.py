"""Cancel, delete, re-encode, roll back: what is running can write nothing more."""

from uuid import UUID

import pytest

from pipeline.config.task_names import wake_release
from pipeline.domain.errors import Conflict, NotFound
from pipeline.domain.states import Status
from pipeline.lifecycle.owner_actions import (
    delete_asset,
)
from pipeline.lifecycle.publish import rollback_asset
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.operations.purge import purge
from pipeline.records.models import Attempt, Output
from pipeline.runtime.database import session_of, user_session
from tests.integration.pipeline.conftest import OWNER, World
from tests.integration.pipeline.steps import (
    ACTOR,
    cancel,
    complete,
    delete,
    reencode,
    report,
    retry,
)


def test_cancelling_ends_the_asset_and_owes_the_provider_a_release(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)

    cancelled = cancel(world, asset_id)

    assert (cancelled.asset.status, cancelled.asset.error_code) == (Status.FAILED, "cancelled")
    assert cancelled.wakes == (wake_release(attempt_id),)
    assert wake_release(attempt_id) in sweep(world.services).wakes
    assert release(world.services, attempt_id).result == "released"
    assert world.provider.cancelled == [attempt_id]
    assert report(world, world.provider.finish(attempt_id)) == "ignored: asset_cancelled"
    with pytest.raises(Conflict) as refused:
        cancel(world, asset_id)
    assert refused.value.code == "not_active"


def test_a_release_is_owed_until_the_provider_is_back(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    cancel(world, asset_id)
    world.provider.deletes = ["503", "503"]

    assert release(world.services, attempt_id).result.startswith("waiting")
    assert release(world.services, attempt_id).result.startswith("waiting")
    assert wake_release(attempt_id) in sweep(world.services).wakes
    assert release(world.services, attempt_id).result == "released"


def test_a_cancel_while_the_provider_is_being_called_releases_the_job_it_made(
    world: World,
) -> None:
    asset_id = world.create()
    world.provider.before_answer = lambda _: cancel(world, asset_id)

    outcome = submit(world.services, asset_id)

    attempt_id = world.attempt_id(asset_id)
    assert world.asset(asset_id).error_code == "cancelled"
    owed = set(outcome.wakes) | set(sweep(world.services).wakes)
    assert wake_release(attempt_id) in owed


def test_a_deleted_asset_is_gone_for_its_owner_and_its_post_is_free(world: World) -> None:
    asset_id = world.create()
    attempt_id = complete(world, asset_id)
    post_id = world.asset(asset_id).post_id

    delete(world, asset_id)

    with pytest.raises(NotFound), user_session(world._api, OWNER) as session:
        delete_asset(session, post_id, actor=ACTOR)
    assert wake_release(attempt_id) in sweep(world.services).wakes
    assert report(world, world.provider.finish(attempt_id)) == "ignored: asset_deleted"
    assert world.types(asset_id)[-2:] == ["deleted", "callback_ignored"]
    assert world.create_for(post_id) != asset_id


def test_a_reencode_leaves_what_is_published_until_it_is_replaced(world: World) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    before = world.asset(asset_id)

    reencode(world, asset_id)

    queued = world.asset(asset_id)
    assert (queued.status, queued.generation) == (Status.QUEUED, 2)
    assert queued.manifest_url == before.manifest_url
    complete(world, asset_id)
    after = world.asset(asset_id)
    assert after.published_output_id != before.published_output_id
    with session_of(world.services.engine) as session:
        assert session.get_one(Output, before.published_output_id).retired_at is not None


def test_a_reencode_that_fails_leaves_the_old_outputs_playing(world: World) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    published = world.asset(asset_id).published_output_id
    reencode(world, asset_id)
    submit(world.services, asset_id)

    report(
        world,
        world.provider.fail(world.attempt_id(asset_id), "encode_failed", retryable=False),
        "job.failed",
    )

    asset = world.asset(asset_id)
    assert asset.status is Status.FAILED
    assert asset.published_output_id == published
    assert asset.manifest_url is not None


def test_news_of_the_generation_before_is_ignored(world: World) -> None:
    asset_id = world.create()
    old = complete(world, asset_id)
    reencode(world, asset_id)

    assert report(world, world.provider.finish(old)) == "ignored: old_generation"


def test_a_rollback_switches_back_and_forth(world: World) -> None:
    asset_id = world.create()
    complete(world, asset_id)
    first = world.asset(asset_id).published_output_id
    reencode(world, asset_id)
    complete(world, asset_id)
    second = world.asset(asset_id).published_output_id

    assert as_operator(world, asset_id) == first
    assert as_operator(world, asset_id) == second
    assert world.types(asset_id)[-2:] == ["rolled_back", "rolled_back"]


def test_a_rollback_brings_its_own_storyboard_or_none(world: World) -> None:
    asset_id = world.create()
    place = f"{world.provider.url}/out/fenced.vtt"
    cue = "00:00.000 --> 00:05.000\nposter.jpg#xywh=0,0,160,90\n"
    (world.provider.folder / "fenced.vtt").write_text(f"WEBVTT\n\n{cue}")
    complete(world, asset_id, storyboard=place)
    reencode(world, asset_id)
    complete(world, asset_id)
    assert world.asset(asset_id).storyboard_url is None

    as_operator(world, asset_id)

    assert world.asset(asset_id).storyboard_url == place


def as_operator(world: World, asset_id: UUID) -> UUID | None:
    with session_of(world.operator) as session:
        rolled = rollback_asset(session, world.asset(asset_id).post_id, actor="operator:o")
        return rolled.published_output_id


def test_there_is_nothing_to_roll_back_to_at_first(world: World) -> None:
    asset_id = world.create()
    complete(world, asset_id)

    with pytest.raises(Conflict) as refused:
        as_operator(world, asset_id)

    assert refused.value.code == "nothing_to_roll_back"


def test_discarded_files_go_after_a_day_and_published_ones_never(world: World) -> None:
    asset_id = world.create()
    first = complete(world, asset_id)
    reencode(world, asset_id)
    second = complete(world, asset_id)
    storage = world.services.storage
    for attempt_id in (first, second):
        storage.write(f"processed/{asset_id}/{attempt_id}/master.m3u8", [b"12345"])
        storage.write(f"posters/{asset_id}/{attempt_id}/storyboard.vtt", [b"123"])

    assert purge(world.services).reclaimed_bytes == 0
    world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
    planned = purge(world.services, dry_run=True)
    assert planned.prefixes == (f"processed/{asset_id}/{first}", f"posters/{asset_id}/{first}")
    assert purge(world.services) == planned
    assert planned.reclaimed_bytes == 8

    assert [stat.key for stat in storage.list(f"processed/{asset_id}")] == [
        f"processed/{asset_id}/{second}/master.m3u8"
    ]
    with session_of(world.services.engine) as session:
        assert session.get_one(Attempt, first).purged_at is not None
    with pytest.raises(Conflict):
        as_operator(world, asset_id)


def test_an_attempt_whose_files_went_is_not_published_late(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    report(world, world.provider.fail(attempt_id, "encode_failed", retryable=False), "job.failed")
    world.execute("UPDATE provider_attempts SET purge_at = now()")
    purge(world.services)
    world.provider.job(attempt_id, error=None)

    assert report(world, world.provider.finish(attempt_id)) == "ignored: purged"


def test_a_deleted_assets_source_goes_with_it(world: World) -> None:
    asset_id = world.create()
    delete(world, asset_id)
    world.execute("UPDATE video_assets SET deleted_at = now() - interval '2 days'")

    purge(world.services)

    assert world.asset(asset_id).purged_at is not None
    assert world.types(asset_id)[-1] == "purged"


def test_a_retry_after_cancel_starts_over(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    cancel(world, asset_id)

    retried = retry(world, asset_id)

    assert retried.asset.status is Status.QUEUED
    complete(world, asset_id)
    assert world.asset(asset_id).status is Status.COMPLETED


def test_a_video_cancelled_while_it_encodes_keeps_no_progress(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    world.execute("UPDATE video_assets SET progress = 40, progress_at = now()")

    cancel(world, asset_id)

    asset = world.asset(asset_id)
    assert (asset.status, asset.progress, asset.progress_at) == (Status.FAILED, None, None)
