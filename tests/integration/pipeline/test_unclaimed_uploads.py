"""An upload that no video is made of: it counts while it is there, and goes in its time."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from pipeline.domain.errors import Conflict, LimitReached
from pipeline.domain.values import CreateAsset
from pipeline.lifecycle.create import Created, create_asset
from pipeline.lifecycle.submit import submit
from pipeline.operations.purge import Purged, purge
from pipeline.records.models import Upload
from pipeline.runtime.database import session_of
from pipeline.uploads.complete import abandon_upload
from pipeline.uploads.tickets import NewUpload, issue_ticket
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import meanwhile
from tests.integration.pipeline.conftest import OWNER, World
from tests.integration.pipeline.crash_scenes import (
    CONTENT,
    complete,
    only_upload,
    owner,
    uploaded,
    use_upload,
)
from tests.integration.pipeline.steps import ACTOR, delete
from tests.integration.pipeline.test_concurrency import at_once

PATIENCE_SEC = 60.0


def completed(world: World, *, ago: str = "2 days") -> Upload:
    """An upload that was completed some time ago."""
    uploaded(world)
    complete(world)
    world.execute(
        "UPDATE uploads SET completed_at = now() - CAST(:ago AS interval), expires_at = now()",
        ago=ago,
    )
    return only_upload(world)


def create(world: World, upload: Upload) -> Created:
    with owner(world) as session:
        return create_asset(
            session,
            CreateAsset(upload.post_id, OWNER, None, upload.id, {}),
            provider="selfhosted",
            new_videos=world.api.new_videos,
            retry=world.api.retry,
            owner_limits=world.api.owner_limits,
            actor=ACTOR,
            render=lambda asset: {"id": str(asset.id)},
        )


def rows(world: World) -> int:
    with session_of(world.services.engine) as session:
        return int(session.scalars(text("SELECT count(*) FROM uploads")).one())


def test_what_no_video_was_made_of_goes_with_its_files(world: World) -> None:
    upload = completed(world)
    folder = upload.storage_key.rpartition("/")[0]

    planned = purge(world.services, dry_run=True)
    assert only_upload(world).completed_at == upload.completed_at
    assert purge(world.services) == planned == Purged((folder,), len(CONTENT))

    assert rows(world) == 0
    assert list(world.services.storage.list()) == []
    assert purge(world.services) == Purged((), 0)


def test_it_is_kept_for_as_long_as_a_ticket_lives(world: World) -> None:
    completed(world, ago="23 hours")

    assert purge(world.services).reclaimed_bytes == 0
    assert rows(world) == 1


def test_what_is_a_video_stays_however_old_it_is(world: World) -> None:
    upload = completed(world)
    create(world, upload)

    assert purge(world.services).reclaimed_bytes == 0
    assert submit(world.services, upload.id).result == "submitted"

    delete(world, upload.id)
    assert purge(world.services).reclaimed_bytes == 0  # its files go with the asset's
    assert rows(world) == 1


def test_a_purge_that_was_first_leaves_nothing_to_register(world: World) -> None:
    upload = completed(world)
    told: list[str] = []

    def register() -> None:
        with pytest.raises(Conflict) as refused:
            create(world, upload)
        told.append(refused.value.code)

    with meanwhile(Boundary.PURGE_MARKED, register):
        purge(world.services)

    assert told == ["upload_expired"]
    assert rows(world) == 0


def test_a_create_that_was_first_leaves_nothing_to_purge(world: World) -> None:
    upload = completed(world)
    purged: list[Purged] = []
    purging = threading.Thread(target=lambda: purged.append(purge(world.services)))

    with owner(world) as session:
        create_asset(
            session,
            CreateAsset(upload.post_id, OWNER, None, upload.id, {}),
            provider="selfhosted",
            new_videos=world.api.new_videos,
            retry=world.api.retry,
            owner_limits=world.api.owner_limits,
            actor=ACTOR,
            render=lambda asset: {"id": str(asset.id)},
        )
        purging.start()
        wait_until_somebody_waits(world)
    purging.join()

    assert purged == [Purged((), 0)]
    assert submit(world.services, upload.id).result == "submitted"


def wait_until_somebody_waits(world: World) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = time.monotonic() + PATIENCE_SEC
    while True:
        with session_of(world.services.engine) as session:
            if session.scalars(waiting).one():
                return
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def test_a_create_that_is_refused_claims_nothing(world: World) -> None:
    upload = completed(world)
    world.create_for(upload.post_id)

    with pytest.raises(Conflict):
        create(world, upload)

    assert purge(world.services).reclaimed_bytes == len(CONTENT)


def issue(world: World, size_bytes: int = 100, **limits: int) -> UUID:
    told = world.api.owner_limits.model_copy(update=limits)
    request = NewUpload(uuid4(), OWNER, "a.mp4", size_bytes, "video/mp4")
    with owner(world) as session:
        return issue_ticket(
            session,
            request,
            key=world.api.media_urls.key,
            uploads=world.api.uploads,
            sources=world.api.sources,
            owner_limits=told,
            now=datetime.now(UTC),
        ).upload_id


def refusal(world: World, size_bytes: int = 100, **limits: int) -> LimitReached:
    with pytest.raises(LimitReached) as refused:
        issue(world, size_bytes, **limits)
    assert refused.value.code == "too_many_uploads"
    return refused.value


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        (
            {"max_uploads": 1},
            {"quota": "uploads", "limit": 1, "used": 1, "asked": 1},
        ),
        (
            {"max_upload_bytes": 199},
            {"quota": "bytes", "limit": 199, "used": 100, "asked": 100},
        ),
    ],
)
def test_over_a_cap_no_ticket_is_issued_and_it_says_which(
    world: World, limits: Mapping[str, int], numbers: Mapping[str, object]
) -> None:
    issue(world, **limits)

    refused = refusal(world, **limits)

    assert refused.extra == numbers
    assert f"{numbers['limit']}" in str(refused)
    assert refused.retry_after_sec > 0
    assert rows(world) == 1


def test_the_first_file_is_taken_however_large(world: World) -> None:
    issue(world, 1000, max_upload_bytes=10)


def test_what_is_given_up_expired_or_made_a_video_leaves_room(world: World) -> None:
    given_up = issue(world)
    abandon_upload(partial(owner, world), given_up, storage=world.services.storage)
    issue(world, max_uploads=1)
    world.execute("UPDATE uploads SET expires_at = now()")
    issue(world, max_uploads=1)
    world.execute("DELETE FROM uploads")

    uploaded(world)
    refusal(world, max_uploads=1)
    use_upload(world)
    issue(world, max_uploads=1)


def test_what_is_complete_counts_though_its_ticket_has_expired(world: World) -> None:
    completed(world, ago="1 hour")

    refusal(world, max_uploads=1)


def test_of_many_tickets_at_once_exactly_as_many_are_issued_as_there_is_room_for(
    world: World,
) -> None:
    def persist() -> str:
        while True:
            try:
                issue(world, max_uploads=3)
            except LimitReached as refused:
                if refused.code != "owner_busy":
                    return refused.code
            else:
                return "issued"

    told = Counter(at_once(*[persist] * 6))

    assert told == {"issued": 3, "too_many_uploads": 3}
