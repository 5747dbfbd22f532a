"""The use cases on a real database, with a scripted provider at the socket."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from os import environ
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock
from unittest.mock import PropertyMock
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from pipeline.config.groups import load_settings
from pipeline.domain.values import CallbackEnvelope, CreateAsset, Playback
from pipeline.lifecycle.create import create_asset
from pipeline.lifecycle.receive_callback import Received, receive_callback
from pipeline.media.tools import locate_tools
from pipeline.process_settings import ApiSettings, WorkerSettings
from pipeline.records.models import Asset, Delivery, Event
from pipeline.runtime.database import make_engine, session_of, user_session
from pipeline.services import Services, build_services
from pipeline.storage.prepare import prepare_storage
from tests.scripted_provider import SECRET, TOKEN, ScriptedProvider, scripted_provider

CLIP = Path(__file__).parents[2] / "media" / "big-buck-bunny-720p-5s.mp4"
OWNER = "ana"


@pytest.fixture(scope="session")
def outputs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished encode of the sample clip, and the clip itself as a source."""
    folder = tmp_path_factory.mktemp("outputs")
    tools = locate_tools(environ)
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-vf", "scale=320:180", "-ac", "2"]
    _ffmpeg(
        tools.ffmpeg,
        folder,
        [
            *encode,
            "-g",
            "50",
            "-f",
            "hls",
            "-hls_segment_type",
            "fmp4",
            "-hls_playlist_type",
            "vod",
            "-hls_time",
            "6",
            "-master_pl_name",
            "master.m3u8",
            "index.m3u8",
        ],
    )
    _ffmpeg(tools.ffmpeg, folder, [*encode, "-movflags", "+faststart", "video.mp4"])
    _ffmpeg(tools.ffmpeg, folder, [*encode, "slow.mp4"])
    _ffmpeg(tools.ffmpeg, folder, ["-ss", "2", "-frames:v", "1", "-update", "1", "poster.jpg"])
    _ffmpeg(
        tools.ffmpeg,
        folder,
        [
            "-vf",
            "drawbox=c=black:t=fill",
            "-frames:v",
            "1",
            "-update",
            "1",
            "black.jpg",
        ],
    )
    (folder / "source.mp4").write_bytes(CLIP.read_bytes())
    return folder


def _ffmpeg(ffmpeg: str, folder: Path, arguments: list[str]) -> None:
    subprocess.run(
        [ffmpeg, "-v", "error", "-y", "-i", str(CLIP), *arguments], cwd=folder, check=True
    )


@pytest.fixture
def provider(outputs_folder: Path) -> Iterator[ScriptedProvider]:
    with scripted_provider(outputs_folder) as provider:
        yield provider


@pytest.fixture
def settings(
    monkeypatch: pytest.MonkeyPatch,
    role_urls: Mapping[str, str],
    broker_url: str,
    provider: ScriptedProvider,
    tmp_path: Path,
) -> WorkerSettings:
    """Real settings from a real environment, with waits short enough to watch."""
    variables = {
        "BROKER_URL": broker_url,
        "STORAGE_URL": (tmp_path / "post-videos").as_uri(),
        **{
            f"KHRONIKA_{role.upper()}_DATABASE_URL": role_urls[role]
            for role in ("api", "worker", "operator", "public")
        },
        "KHRONIKA_JWT_SECRET": "j" * 32,
        "KHRONIKA_SECRET_KEY": "s" * 32,
        "KHRONIKA_SOURCE_ALLOW": "http://127.0.0.1:*",
        "KHRONIKA_SOURCE_HTTP": "true",
        "KHRONIKA_SOURCE_PORTS": "any",
        "KHRONIKA_SELFHOSTED_URL": provider.url,
        "KHRONIKA_SELFHOSTED_TOKEN": TOKEN,
        "KHRONIKA_SELFHOSTED_OUTPUT_HOSTS": "127.0.0.1",
        "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS": SECRET,
        "KHRONIKA_MAX_ATTEMPTS": "3",
        "KHRONIKA_OWNER_MAX_READING": "100",  # nearly all videos here are of one owner
        "KHRONIKA_PROVIDER_TIMEOUT_SEC": "2",
    }
    prepare_storage(variables["STORAGE_URL"])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings(WorkerSettings)


@pytest.fixture
def services(settings: WorkerSettings) -> Iterator[Services]:
    services = replace(build_services(settings), rng=Random(1))
    yield services
    services.engine.dispose()


def with_changed(services: Services, group: str, **changed: object) -> Services:
    """The services of a worker in whose environment some settings of a group differ."""
    settings = services.settings
    told = getattr(settings, group).model_copy(update=changed)
    return replace(services, settings=replace(settings, **{group: told}))


class World:
    """What a test says and sees: create, receive, make things due, read back."""

    def __init__(
        self, services: Services, provider: ScriptedProvider, superuser_url: str | None = None
    ) -> None:
        self._mover = make_engine(superuser_url, pool_size=1) if superuser_url else services.engine
        self.services = services
        self.provider = provider
        self.api = load_settings(ApiSettings)
        assert self.api.operator_login is not None
        self._api = make_engine(self.api.api_login.url.get_secret_value())
        self.operator = make_engine(self.api.operator_login.url.get_secret_value())

    def close(self) -> None:
        self._api.dispose()
        self.operator.dispose()
        if self._mover is not self.services.engine:
            self._mover.dispose()

    @contextmanager
    def capabilities(self, **changed: Any) -> Iterator[None]:
        """Run with a provider that can do more or less."""
        provider = next(iter(self.services.providers.values()))
        able = PropertyMock(return_value=replace(provider.capabilities, **changed))
        with mock.patch.object(type(provider), "capabilities", able):
            yield

    def create(
        self, source: str = "source.mp4", playback: Playback | None = None, **declared: float
    ) -> UUID:
        """Register a source that the scripted provider serves."""
        return self.create_for(uuid4(), source, playback, **declared)

    def create_for(
        self,
        post_id: UUID,
        source: str = "source.mp4",
        playback: Playback | None = None,
        **declared: float,
    ) -> UUID:
        """Register it for this post."""
        url = f"{self.provider.url}/out/{source}"
        request = CreateAsset(post_id, OWNER, url, None, declared, playback=playback)
        with user_session(self._api, OWNER) as session:
            created = create_asset(
                session,
                request,
                provider=self.api.accounts.default,
                new_videos=self.api.new_videos,
                retry=self.api.retry,
                owner_limits=self.api.owner_limits,
                actor=f"owner:{OWNER}",
                render=lambda asset: {"id": str(asset.id)},
            )
        assert created.asset is not None
        return created.asset.id

    def receive(
        self, signed: tuple[dict[str, str], bytes], now: datetime | None = None
    ) -> Received:
        headers, body = signed
        with session_of(self._api) as session:
            return receive_callback(
                session,
                self.services.providers["selfhosted"],
                secrets=[SECRET],
                envelope=CallbackEnvelope({k.lower(): v for k, v in headers.items()}, body),
                source="127.0.0.1",
                request_id="test",
                now=now or datetime.now(UTC),
            )

    def asset(self, asset_id: UUID) -> Asset:
        with session_of(self.services.engine) as session:
            return session.get_one(Asset, asset_id)

    def attempt_id(self, asset_id: UUID) -> UUID:
        attempt_id = self.asset(asset_id).attempt_id
        assert attempt_id is not None
        return attempt_id

    def delivery(self, delivery_id: UUID) -> Delivery:
        with session_of(self.services.engine) as session:
            return session.get_one(Delivery, delivery_id)

    def chronicle(self, asset_id: UUID) -> list[Event]:
        """The asset's events; their numbers have no gap."""
        with session_of(self.services.engine) as session:
            events = list(
                session.scalars(select(Event).where(Event.asset_id == asset_id).order_by(Event.seq))
            )
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        return events

    def types(self, asset_id: UUID) -> list[str]:
        return [event.type for event in self.chronicle(asset_id)]

    def make_past(self, asset_id: UUID, column: str) -> None:
        """Let the instant in this column have gone by."""
        self.execute(
            f"UPDATE video_assets SET {column} = now() - interval '1 s' WHERE id = :id", id=asset_id
        )

    def execute(self, statement: str, **parameters: object) -> None:
        """Move the world along, as time or a crash would: no login of ours does that."""
        with session_of(self._mover) as session:
            session.execute(text(statement), parameters)

    def execute_past_triggers(self, statement: str, **parameters: object) -> None:
        """Change the rows as no transaction can that the triggers watch."""
        with session_of(self._mover) as session:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            session.execute(text(statement), parameters)


@pytest.fixture
def world(
    services: Services, provider: ScriptedProvider, superuser_url: str | None
) -> Iterator[World]:
    world = World(services, provider, superuser_url)
    yield world
    world.close()
