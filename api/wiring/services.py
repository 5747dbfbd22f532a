"""What the routes work with, chosen in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import environ
from typing import cast

from flask import current_app

from api.identity.database_roles import Engines, make_engines
from api.identity.tokens import Verifier, verifier_of
from api.live.hub import Streams
from api.live.viewer_documents import Sight
from api.wiring.publisher import Publisher
from api.wiring.rejection_alarm import RejectionAlarm
from pipeline.config.settings import Settings
from pipeline.media.source_limits import Limits
from pipeline.media.tools import Tools, locate_tools
from pipeline.net.fetch_policy import FetchPolicy
from pipeline.providers import load_providers
from pipeline.providers.active_secrets import SecretBook, open_book
from pipeline.providers.base import Provider
from pipeline.services import fetch_policy, limits_of
from pipeline.storage.base import Storage
from pipeline.storage.open import open_storage

EXTENSION = "khronika"


@dataclass(frozen=True)
class Services:
    """The outside world, as the routes see it."""

    settings: Settings
    engines: Engines
    providers: Mapping[str, Provider]
    storage: Storage
    publisher: Publisher
    streams: Streams
    verifier: Verifier
    secrets: SecretBook
    alarm: RejectionAlarm
    tools: Tools
    limits: Limits
    fetch_policy: FetchPolicy

    def close(self) -> None:
        """End every stream and let every connection go."""
        self.streams.end_all()
        self.engines.close()
        self.publisher.close()


def build_services(settings: Settings) -> Services:
    """Choose the real things. Connects to nothing yet: a process is up before its database is.

    Raises:
        ToolsMissing: there is no ffprobe.
        StorageUrlInvalid: ``STORAGE_URL`` names no storage we know.
    """
    engines = make_engines(settings)
    return Services(
        settings=settings,
        engines=engines,
        providers=load_providers(settings),
        storage=open_storage(settings.storage_url, settings.storage_credentials),
        publisher=Publisher(settings.broker_url.get_secret_value()),
        streams=Streams(
            lambda: Sight(engines, settings),
            most=settings.stream_clients,
            most_per_address=settings.stream_clients_per_address,
            every_sec=settings.stream_look_sec,
        ),
        verifier=verifier_of(settings),
        secrets=open_book(settings, reading=engines.api, seeding=engines.operator),
        alarm=RejectionAlarm(settings.callback_alarm_rejections),
        tools=locate_tools(environ),
        limits=limits_of(settings),
        fetch_policy=fetch_policy(settings),
    )


def services() -> Services:
    """Those of the running application."""
    return cast("Services", current_app.extensions[EXTENSION])
