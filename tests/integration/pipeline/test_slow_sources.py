"""Sources that can only be read from their start, and arrive slowly."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from pipeline.domain.states import Status
from pipeline.lifecycle import reading_lease
from pipeline.lifecycle.owner_actions import cancel_asset
from pipeline.lifecycle.submit import submit
from pipeline.net.fetch import GuardedFetcher
from pipeline.records.models import Asset
from pipeline.runtime.database import session_of
from pipeline.runtime.task_bounds import TaskBounds
from pipeline.services import Services
from tests.dripping_origin import Dripping, dripping
from tests.integration.pipeline.conftest import World, with_changed

TOTAL_SEC = 0.5
"""The time of a call that reads no source: a minute in use."""
PIECES = 20
LAST = PIECES - 1
MIB = 1024 * 1024


@pytest.fixture
def services(services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Services in which a minute is a moment."""
    monkeypatch.setattr(reading_lease, "LOOK_EVERY_SEC", 0.05)
    policy = replace(
        services.settings.sources.fetch_policy,
        total_timeout_sec=TOTAL_SEC,
        read_timeout_sec=1.0,
    )
    return replace(services, fetcher=GuardedFetcher(policy))


@pytest.fixture
def slow(outputs_folder: Path) -> Iterator[Dripping]:
    """A file whose index is at its end, sent within three times that."""
    content = (outputs_folder / "slow.mp4").read_bytes()
    assert content.index(b"mdat") < content.index(b"moov")
    with dripping(content, pieces=PIECES, pause_sec=3 * TOTAL_SEC / PIECES) as origin:
        yield origin


def create_at(world: World, origin: Dripping) -> UUID:
    """Register a video whose source is at that origin."""
    asset_id = world.create()
    world.execute_past_triggers(
        "UPDATE video_assets SET source_url = :url WHERE id = :id", url=origin.url, id=asset_id
    )
    return asset_id


def cancel(world: World, asset_id: UUID) -> None:
    with session_of(world.services.engine) as session:
        post_id = session.scalars(select(Asset.post_id).where(Asset.id == asset_id)).one()
    with session_of(world.operator) as session:
        cancel_asset(session, post_id, actor="operator:test")


@pytest.mark.parametrize("is_sized", [True, False], ids=["sized", "unsized"])
def test_a_source_may_take_as_long_as_its_bytes_and_keeps_its_lease(
    world: World, slow: Dripping, is_sized: bool
) -> None:
    world.services = with_changed(world.services, "leases", lease_sec=TOTAL_SEC)
    asset_id = create_at(world, slow)
    slow.is_sized = is_sized
    others: list[str] = []
    slow.before_piece = lambda number: (
        others.append(submit(world.services, asset_id).result) if number == LAST else None
    )

    assert submit(world.services, asset_id).result == "submitted"

    assert others == ["nothing_to_submit"]
    assert (world.asset(asset_id).source_info or {})["duration_sec"] == pytest.approx(5.28, abs=0.1)
    assert "lease_taken_over" not in world.types(asset_id)
    assert world.provider.puts == [world.attempt_id(asset_id)]


def test_a_source_that_stalls_is_given_up_and_waits(world: World, slow: Dripping) -> None:
    asset_id = create_at(world, slow)
    slow.before_piece = lambda number: slow.stall() if number == LAST else None

    assert submit(world.services, asset_id).result == "retrying"

    assert world.asset(asset_id).error_code == "source_timeout"
    assert not world.provider.puts


def test_a_source_without_an_end_is_read_to_the_largest_size(world: World, slow: Dripping) -> None:
    world.services = with_changed(world.services, "sources", max_bytes=4 * MIB)
    asset_id = create_at(world, slow)
    slow.is_sized, slow.pause_sec = False, 0.0
    slow.pieces, slow.endless = [b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\0mdat"], bytes(MIB)

    assert submit(world.services, asset_id).result == "failed"

    assert world.asset(asset_id).error_code == "source_too_large"


def test_a_source_that_is_slower_than_the_least_rate_is_given_up(
    world: World, slow: Dripping
) -> None:
    fetcher = GuardedFetcher(
        replace(world.services.settings.sources.fetch_policy, min_bps=10**9, grace_sec=TOTAL_SEC)
    )
    world.services = replace(world.services, fetcher=fetcher)
    asset_id = create_at(world, slow)

    assert submit(world.services, asset_id).result == "retrying"

    assert world.asset(asset_id).error_code == "source_timeout"
    assert slow.sent < PIECES


def test_a_cancelled_video_is_read_no_further(world: World, slow: Dripping) -> None:
    """A look at the row notices it, long before the lease would have to be renewed."""
    slow.endless, slow.is_sized, more = bytes(1000), False, 100
    most = sum(map(len, slow.pieces)) + more * len(slow.endless)
    world.services = with_changed(world.services, "leases", lease_sec=3600)
    world.services = with_changed(world.services, "sources", max_bytes=most)
    asset_id = create_at(world, slow)
    slow.before_piece = lambda number: cancel(world, asset_id) if number == 2 else None

    assert submit(world.services, asset_id).result == "stale"

    assert slow.sent < PIECES + more
    assert world.asset(asset_id).error_code == "cancelled"
    assert not world.provider.puts


def test_a_worker_that_is_told_to_stop_gives_the_claim_back_though_no_byte_comes(
    world: World, slow: Dripping
) -> None:
    told: list[int] = []
    policy = replace(world.services.settings.sources.fetch_policy, read_timeout_sec=3600)
    world.services = replace(world.services, fetcher=GuardedFetcher(policy))
    stopping = replace(world.services, bounds=TaskBounds(is_stopping=lambda: bool(told)))
    asset_id = create_at(world, slow)

    def stop(number: int) -> None:
        if number == 2 and not told:
            told.append(number)
            slow.stall()

    slow.before_piece = stop
    assert submit(stopping, asset_id).result == "given_back"
    asset = world.asset(asset_id)
    assert (asset.status, asset.claims) == (Status.PROCESSING, 0)

    slow.before_piece = lambda _: None
    assert submit(world.services, asset_id).result == "submitted"
    assert world.asset(asset_id).attempt == 1
    assert world.types(asset_id).count("claimed") == 1


def test_few_slow_sources_are_read_at_once(
    world: World, slow: Dripping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_lease, "SLOW_SEC", 0.2)
    world.services = with_changed(world.services, "sources", max_slow=1)
    first, second = create_at(world, slow), create_at(world, slow)
    results: list[str] = []
    slow.before_piece = lambda number: (
        results.append(submit(world.services, second).result)
        if number == LAST and not results
        else None
    )

    assert submit(world.services, first).result == "submitted"

    assert results == ["retrying"]
    assert world.asset(second).error_code == "source_timeout"
    assert world.provider.puts == [world.attempt_id(first)]
