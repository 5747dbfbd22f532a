"""What the routes work with, chosen in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import environ
from typing import cast

from flask import current_app
from sqlalchemy import Engine

from api.publish import Publisher
from api.rejections import RejectionAlarm
from api.tokens import Verifier, verifier_of
from pipeline.database import LOCK_WAIT_MS, make_engine
from pipeline.media.limits import Limits
from pipeline.media.tools import Tools, locate_tools
from pipeline.net.policy import FetchPolicy
from pipeline.providers import load_providers
from pipeline.providers.base import Provider
from pipeline.secret_book import SecretBook, open_book
from pipeline.services import fetch_policy, limits_of
from pipeline.settings import Settings
from pipeline.storage.base import Storage
from pipeline.storage.open import open_storage

EXTENSION = "khronika"


@dataclass(frozen=True)
class Engines:
    """One engine for each role; none of them may do what another is for."""

    api: Engine
    operator: Engine
    public: Engine


@dataclass(frozen=True)
class Services:
    """The outside world, as the routes see it."""

    settings: Settings
    engines: Engines
    providers: Mapping[str, Provider]
    storage: Storage
    publisher: Publisher
    verifier: Verifier
    secrets: SecretBook
    alarm: RejectionAlarm
    tools: Tools
    limits: Limits
    fetch_policy: FetchPolicy

    def close(self) -> None:
        """Let every connection go."""
        for engine in (self.engines.api, self.engines.operator, self.engines.public):
            engine.dispose()
        self.publisher.close()


def build_services(settings: Settings) -> Services:
    """Choose the real things. Connects to nothing yet: a process is up before its database is.

    Raises:
        ToolsMissing: there is no ffprobe.
        StorageUrlInvalid: ``STORAGE_URL`` names no storage we know.
    """
    engines = Engines(
        api=_engine(settings.api_database_url.get_secret_value(), settings, "api"),
        # An owner's sessions set the same themselves; a callback may wait for its own twin.
        operator=_engine(
            settings.operator_database_url.get_secret_value(),
            settings,
            "operator",
            lock_wait_ms=LOCK_WAIT_MS,
        ),
        public=_engine(settings.public_database_url.get_secret_value(), settings, "public"),
    )
    return Services(
        settings=settings,
        engines=engines,
        providers=load_providers(settings),
        storage=open_storage(settings.storage_url, settings.storage_credentials),
        publisher=Publisher(settings.broker_url.get_secret_value()),
        verifier=verifier_of(settings),
        secrets=open_book(settings, reading=engines.api, seeding=engines.operator),
        alarm=RejectionAlarm(settings.callback_alarm_rejections),
        tools=locate_tools(environ),
        limits=limits_of(settings),
        fetch_policy=fetch_policy(settings),
    )


def _engine(url: str, settings: Settings, role: str, lock_wait_ms: int = 0) -> Engine:
    return make_engine(
        url,
        pool_size=settings.database_pool_size,
        name=f"khronika {role}",
        lock_wait_ms=lock_wait_ms,
    )


def services() -> Services:
    """Those of the running application."""
    return cast("Services", current_app.extensions[EXTENSION])
