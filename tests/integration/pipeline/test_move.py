"""The move of an account's videos to another account, while workers are killed."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pytest
import requests
from sqlalchemy import text

from pipeline.config.groups import load_settings
from pipeline.config.task_names import (
    TASK_POLL,
    TASK_RECONCILE,
    TASK_RELEASE,
    TASK_SUBMIT,
    TASK_WITHDRAW,
)
from pipeline.content.published_copy import origin_of
from pipeline.domain.prices import Prices
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.operations.move import Move, movable, move_next, preview_move
from pipeline.operations.purge import purge
from pipeline.operations.withdraw import withdraw
from pipeline.process_settings import WorkerSettings
from pipeline.records.models import Asset
from pipeline.runtime.database import session_of
from pipeline.services import Outcome, Services
from tests.crashing.boundary import Boundary
from tests.crashing.harness import observed
from tests.integration.api.conftest import serving
from tests.integration.pipeline.conftest import OWNER, World
from tests.scripted_provider import SECRET, TOKEN, ScriptedProvider, scripted_provider

VIDEOS = int(os.environ.get("KHRONIKA_MOVE_VIDEOS", "60"))
"""`KHRONIKA_MOVE_VIDEOS=1000` moves a thousand, for some minutes."""
MOST_ROUNDS = 20 + VIDEOS // 10
"""Rounds in which all are moved, kills included."""
PAUSE_SEC = 0.02
"""Pause of the viewers between two requests; they share this process with the workers."""
KILLS_OF_A_VIDEO = 2
"""A video whose worker dies more often fails as ``worker_crashed``, which is another story."""
MOVE = Move("old", "new")
USE_CASES: Mapping[str, Callable[[Services, UUID], Outcome]] = {
    TASK_SUBMIT: submit,
    TASK_RECONCILE: reconcile,
    TASK_POLL: poll,
    TASK_RELEASE: release,
    TASK_WITHDRAW: withdraw,
}
TIME_PASSES = (
    """UPDATE video_assets SET woken_at = NULL,
           lease_expires_at = lease_expires_at - interval '1 h',
           next_poll_at = next_poll_at - interval '1 h',
           next_attempt_at = next_attempt_at - interval '1 h' WHERE status <> 'completed'""",
    """UPDATE provider_attempts SET release_requested_at = release_requested_at - interval '1 h',
           intended_at = intended_at - interval '1 h' WHERE released_at IS NULL""",
)
INSERTS = (
    """INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider, status,
           playback, last_seq, attempt, attempt_id, provider_job_id, published_output_id,
           manifest_url, fallback_url, poster_url, thumbnail_url, duration_sec, width, height,
           completed_at, playable_at)
       VALUES (:asset, gen_random_uuid(), 'ana', :base || 'video.mp4', 5, 'old', 'completed',
           'public', 0, 1, :attempt, cast(:attempt AS text), :output, :base || 'master.m3u8',
           :base || 'video.mp4', :base || 'poster.jpg', :base || 'poster.jpg', 5.28, 320, 180,
           now(), now())""",
    """INSERT INTO provider_attempts (id, asset_id, generation, number, provider, provider_job_id,
           intended_at, submitted_at, outcome)
       VALUES (:attempt, :asset, 1, 1, 'old', cast(:attempt AS text), now(), now(), 'completed')""",
    """INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url, fallback_url,
           poster_url, thumbnail_url, renditions, duration_sec, width, height, published_at)
       VALUES (:output, :asset, 1, :attempt, :base || 'master.m3u8', :base || 'video.mp4',
           :base || 'poster.jpg', :base || 'poster.jpg', '[]', 5.28, 320, 180, now())""",
)


class Killed(BaseException):
    """The end of a worker in the middle of its work."""


@pytest.fixture
def newer(outputs_folder: Path) -> Iterator[ScriptedProvider]:
    with scripted_provider(outputs_folder) as provider:
        yield provider


@pytest.fixture
def settings(
    settings: WorkerSettings,
    monkeypatch: pytest.MonkeyPatch,
    provider: ScriptedProvider,
    newer: ScriptedProvider,
) -> WorkerSettings:
    """Two accounts, each at a provider of its own."""
    del settings
    monkeypatch.setenv("KHRONIKA_ACCOUNTS", "old:selfhosted,new:selfhosted")
    for name, each in (("OLD", provider), ("NEW", newer)):
        monkeypatch.setenv(f"KHRONIKA_{name}_URL", each.url)
        monkeypatch.setenv(f"KHRONIKA_{name}_TOKEN", TOKEN)
        monkeypatch.setenv(f"KHRONIKA_{name}_OUTPUT_HOSTS", "127.0.0.1")
        monkeypatch.setenv(f"KHRONIKA_{name}_WEBHOOK_SECRETS", SECRET)
    return load_settings(WorkerSettings)


def published_at_old(world: World, count: int) -> list[UUID]:
    """Make completed videos whose outputs the old account has."""
    made = []
    base = f"{world.provider.url}/out/"
    for _ in range(count):
        asset_id, attempt_id = uuid4(), uuid4()
        ids = {"asset": asset_id, "attempt": attempt_id, "output": uuid4(), "base": base}
        for statement in INSERTS:
            world.execute(statement, **ids)
        world.provider.jobs[attempt_id] = {"id": str(attempt_id), "status": "completed"}
        made.append(asset_id)
    return made


def queue_next(services: Services, after: UUID | None = None) -> UUID | None:
    with session_of(services.engine) as session:
        step = move_next(services, session, MOVE, after=after, actor="operator:ops")
    assert step.reason is None
    return step.asset_id


class Killer:
    """Ends workers at boundaries that chance chooses, each video's a few times at most."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.kills: Counter[UUID] = Counter()
        self.at: Counter[Boundary] = Counter()

    def run(self, use_case: Callable[[], object], victim: UUID) -> None:
        def strike(boundary: Boundary) -> None:
            if self.kills[victim] < KILLS_OF_A_VIDEO and self.rng.random() < 0.3:
                self.kills[victim] += 1
                self.at[boundary] += 1
                raise Killed

        with suppress(Killed), observed(strike):
            use_case()


class Viewers:
    """Ask for every video's stable address again and again, and keep the bad answers."""

    def __init__(self, base_url: str, assets: list[UUID]) -> None:
        self.asked = 0
        self.broken: list[str] = []
        self._urls = [f"{base_url}/media/videos/{asset}/manifest.m3u8" for asset in assets]

    def ask_all(self) -> None:
        with requests.Session() as session:
            for url in self._urls:
                self._ask(session, url)

    def _ask(self, session: requests.Session, url: str) -> None:
        answer = session.get(url, timeout=60)
        self.asked += 1
        if answer.status_code != 200 or not answer.text.startswith("#EXTM3U"):
            self.broken.append(f"{url}: {answer.status_code}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            with requests.Session() as session:
                for url in cycle(self._urls):
                    if over.wait(PAUSE_SEC):
                        return
                    self._ask(session, url)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def work_once(world: World, killer: Killer, newer: ScriptedProvider) -> None:
    """Let an hour pass, the new provider finish its jobs, and workers do all due work."""
    for statement in TIME_PASSES:
        world.execute(statement)
    for attempt_id, job in list(newer.jobs.items()):
        if job["status"] == "queued":
            newer.finish(attempt_id)
    for wake in sweep(world.services).wakes:
        killer.run(partial(USE_CASES[wake.task], world.services, wake.id), wake.id)


def at_old(world: World) -> int:
    with session_of(world.services.engine) as session:
        found = preview_move(session, MOVE, {})
    return found.videos + found.under_way + found.failed


def test_videos_move_while_workers_are_killed_and_no_viewer_notices(
    world: World, newer: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = published_at_old(world, VIDEOS)
    old_jobs = set(world.provider.jobs)
    killer = Killer(seed=7)
    with serving(monkeypatch) as api:
        viewers = Viewers(api.url, assets)
        with viewers.watching():
            for _ in range(MOST_ROUNDS):
                for _ in range(20):  # each as a run of the command that ends after one video
                    if queue_next(world.services) is None:
                        break
                work_once(world, killer, newer)
                if not at_old(world):
                    break
        assert at_old(world) == 0
        viewers.ask_all()
        assert viewers.broken == []
        assert viewers.asked >= 2 * VIDEOS
        assert kept_for_a_day(world) == VIDEOS
        assert world.provider.cancelled == []

        world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at IS NOT NULL")
        assert any(not purge_and_release(world, killer, newer) for _ in range(MOST_ROUNDS))
        viewers.ask_all()
        assert viewers.broken == []

    assert sum(killer.kills.values()) > VIDEOS / 10
    assert len(killer.at) > 3
    assert {job for job in newer.jobs if job not in newer.cancelled} == published_jobs(world)
    assert len(newer.jobs) == VIDEOS
    assert set(world.provider.cancelled) == old_jobs
    for asset_id in assets:
        types = world.types(asset_id)
        assert (types[0], types.count("move_requested")) == ("move_requested", 1)
        assert types.count("completed") == 1
        assert world.asset(asset_id).wanted_provider is None


def kept_for_a_day(world: World) -> int:
    """Count the old account's attempts whose outputs stay a day for viewers."""
    with session_of(world.services.engine) as session:
        count: int = session.scalars(
            text("""SELECT count(*) FROM provider_attempts
                    WHERE provider = 'old' AND purge_at > now() + interval '23 hours'""")
        ).one()
    return count


def purge_and_release(world: World, killer: Killer, newer: ScriptedProvider) -> bool:
    """Purge one batch and pay what is owed; return false once nothing is left."""
    killer.run(partial(purge, world.services), UUID(int=0))
    work_once(world, killer, newer)
    with session_of(world.services.engine) as session:
        left = session.scalars(
            text("""SELECT count(*) FROM provider_attempts WHERE purge_at IS NOT NULL
                    OR (release_requested_at IS NOT NULL AND released_at IS NULL)""")
        ).one()
    return bool(left)


def published_jobs(world: World) -> set[UUID]:
    with session_of(world.services.engine) as session:
        return set(
            session.scalars(
                text("""SELECT t.id FROM video_assets a
                        JOIN video_outputs o ON o.id = a.published_output_id
                        JOIN provider_attempts t ON t.id = o.attempt_id
                        WHERE t.provider = 'new'""")
            )
        )


def test_the_old_outputs_stay_published_until_the_new_ones_have_passed(
    world: World, newer: ScriptedProvider
) -> None:
    [asset_id] = published_at_old(world, 1)
    before = world.asset(asset_id)
    assert queue_next(world.services) == asset_id
    assert submit(world.services, asset_id).result == "submitted"
    attempt_id = world.attempt_id(asset_id)
    assert set(newer.jobs) == {attempt_id}
    newer.finish(attempt_id, poster=f"{newer.url}/out/black.jpg")
    world.make_past(asset_id, "next_poll_at")
    poll(world.services, asset_id)

    after = world.asset(asset_id)
    assert after.manifest_url == before.manifest_url
    assert (after.wanted_provider, after.completed_at) == ("new", before.completed_at)


def test_a_video_is_queued_once_by_any_number_of_runs(world: World) -> None:
    assets = published_at_old(world, 3)
    queued = [queue_next(world.services) for _ in range(4)]

    assert queued == [*sorted(assets), None]
    assert [world.types(asset_id) for asset_id in assets] == [["move_requested"]] * 3


def test_a_move_does_not_count_as_its_owners_work(world: World) -> None:
    published_at_old(world, 1)
    queue_next(world.services)
    world.create()
    with session_of(world.operator) as session:
        live = session.scalars(text("SELECT khronika_live_assets('ana')")).one()

    assert live == 1


def test_a_source_that_the_new_account_cannot_take_stays(world: World) -> None:
    published_at_old(world, 1)
    world.execute("UPDATE video_assets SET playback = 'signed'")
    with world.capabilities(signed_playback=False), session_of(world.services.engine) as session:
        step = move_next(world.services, session, MOVE, after=None, actor="operator:ops")

    assert step.reason == "cannot_restrict_playback"
    assert world.types(step.asset_id or uuid4()) == []


def test_the_preview_counts_minutes_and_estimates_the_cost(world: World) -> None:
    first, *_ = published_at_old(world, 3)
    queue_next(world.services)
    prices = {"old": Prices(stored_minute=1.0), "new": Prices(0.5, 0.25)}
    with session_of(world.services.engine) as session:
        found = preview_move(session, MOVE, prices)
        back = preview_move(session, Move("new", "old"), prices)

    minutes = 2 * 5.28 / 60
    assert (found.videos, found.under_way, found.failed) == (2, 1, 0)
    assert found.media_sec == pytest.approx(minutes * 60)
    assert found.encoding_cost == pytest.approx(minutes * 0.5)
    assert found.monthly_cost_change == pytest.approx(minutes * (0.25 - 1.0))
    assert (back.videos, back.encoding_cost) == (0, 0.0)
    with session_of(world.services.engine) as session:
        assert session.get_one(Asset, min(first, *_)).wanted_provider == "new"


def test_the_preview_has_the_cost_of_delivery_if_the_minutes_are_given(world: World) -> None:
    published_at_old(world, 1)
    prices = {"old": Prices(delivered_minute=0.003), "new": Prices(delivered_minute=0.001)}
    with session_of(world.services.engine) as session:
        without = preview_move(session, MOVE, prices)
        found = preview_move(session, MOVE, prices, delivered_sec=1000 * 60)

    assert without.delivery_cost_change is None
    assert found.delivery_cost_change == pytest.approx(-2.0)


def lose_original(world: World, asset_id: UUID) -> None:
    world.execute_past_triggers(
        "UPDATE video_assets SET source_url = replace(source_url, 'video.mp4', 'gone.mp4')"
        " WHERE id = :id",
        id=asset_id,
    )


def origins(world: World) -> Mapping[UUID, str]:
    with session_of(world.services.engine) as session:
        ids = movable(session, MOVE)
    return {each: origin_of(world.services, each).value for each in ids}


def test_a_video_whose_original_is_gone_is_made_from_its_published_mp4(
    world: World, newer: ScriptedProvider
) -> None:
    kept, lost = published_at_old(world, 2)
    lose_original(world, lost)
    before = world.asset(lost)
    assert origins(world) == {kept: "original", lost: "copy"}
    queue_next(world.services)
    queue_next(world.services)
    for asset_id in (kept, lost):
        assert submit(world.services, asset_id).result == "submitted"

    sources = {
        each: newer.jobs[world.attempt_id(each)]["spec"]["source_url"] for each in (kept, lost)
    }
    assert sources == {kept: before.fallback_url, lost: before.fallback_url}
    [verified] = [each for each in world.chronicle(lost) if each.type == "source_verified"]
    assert verified.detail["copied_from"] == "old"
    assert world.asset(lost).source_etag == before.source_etag
    [verified] = [each for each in world.chronicle(kept) if each.type == "source_verified"]
    assert "copied_from" not in verified.detail


@pytest.mark.parametrize(
    ("change", "value"),
    [("fallback_url", "poster.jpg"), ("fallback_url", "gone.mp4"), ("duration_sec", None)],
    ids=["no video", "gone too", "another length"],
)
def test_a_copy_that_does_not_hold_is_not_used(
    world: World, newer: ScriptedProvider, change: str, value: str | None
) -> None:
    [asset_id] = published_at_old(world, 1)
    lose_original(world, asset_id)
    if change == "duration_sec":
        world.execute("UPDATE video_assets SET duration_sec = 60")
    else:
        address = f"{world.provider.url}/out/{value}"
        world.execute("UPDATE video_outputs SET fallback_url = :address", address=address)
    queue_next(world.services)

    assert submit(world.services, asset_id).result == "failed"

    failed = world.asset(asset_id)
    assert (failed.error_code, newer.jobs) == ("source_unreachable", {})
    assert failed.published_output_id is not None


def test_a_stored_original_of_another_size_is_not_the_original(world: World) -> None:
    [asset_id] = published_at_old(world, 1)
    key = f"original/{OWNER}/source.mp4"
    clip = (world.provider.folder / "video.mp4").read_bytes()
    world.services.storage.write(key, [clip])
    world.execute_past_triggers(
        "UPDATE video_assets SET source_url = :address, source_size_bytes = :size",
        address=f"storage:{key}",
        size=len(clip),
    )
    assert origins(world) == {asset_id: "original"}

    world.services.storage.write(key, [clip, b"more"])

    assert origins(world) == {asset_id: "copy"}


@pytest.mark.parametrize(
    ("place", "code"),
    [("at the vendor", "source_unreachable"), ("in our storage", "storage_unavailable")],
)
def test_a_copy_that_cannot_be_read_now_is_tried_again(
    world: World, newer: ScriptedProvider, place: str, code: str
) -> None:
    [asset_id] = published_at_old(world, 1)
    lose_original(world, asset_id)
    if place == "in our storage":
        set_copy(world, f"storage:{STORED_COPY}")
        repair = block_storage(world)
    else:
        world.provider.broken_files.add("video.mp4")
        repair = world.provider.broken_files.clear
    queue_next(world.services)

    assert submit(world.services, asset_id).result == "retrying"

    waits = world.chronicle(asset_id)[-1]
    assert (waits.type, waits.detail["code"]) == ("held", code)
    assert "404" not in waits.detail["message"], "the copy's own error, not the original's"
    repair()
    world.make_past(asset_id, "next_attempt_at")
    assert submit(world.services, asset_id).result == "submitted"
    assert list(newer.jobs) == [world.attempt_id(asset_id)]


STORED_COPY = f"processed/{UUID(int=1)}/{UUID(int=2)}/fallback/video.mp4"


def set_copy(world: World, address: str) -> None:
    world.execute("UPDATE video_outputs SET fallback_url = :address", address=address)


def block_storage(world: World) -> Callable[[], object]:
    """Store the copy, and let a reading of it fail; return the repair."""
    world.services.storage.write(STORED_COPY, [(world.provider.folder / "video.mp4").read_bytes()])
    path = world.services.storage.local_path(STORED_COPY)
    assert path is not None
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(path)  # ELOOP, which no right of root helps against

    def repair() -> None:
        path.unlink()
        aside.rename(path)

    return repair


def test_a_video_that_nobody_moves_is_not_made_from_a_copy(
    world: World, newer: ScriptedProvider
) -> None:
    [asset_id] = published_at_old(world, 1)
    lose_original(world, asset_id)
    queue_next(world.services)
    world.execute("UPDATE video_assets SET wanted_provider = NULL")

    assert submit(world.services, asset_id).result == "failed"
    assert newer.jobs == {}


def test_a_video_with_captions_stays_unless_they_are_given_up(world: World) -> None:
    [asset_id] = published_at_old(world, 1)
    captions = '[{"label": "English", "language": "en"}]'
    world.execute("UPDATE video_outputs SET captions = cast(:captions AS jsonb)", captions=captions)

    with session_of(world.services.engine) as session:
        step = move_next(world.services, session, MOVE, after=None, actor="operator:ops")
        found = preview_move(session, MOVE, {})

    assert step.reason == "has_captions"
    assert world.types(asset_id) == []
    assert found.captioned == 1
    without = Move("old", "new", without_captions=True)
    with session_of(world.services.engine) as session:
        step = move_next(world.services, session, without, after=None, actor="operator:ops")
    assert (step.asset_id, step.reason) == (asset_id, None)
