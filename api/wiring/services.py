"""The services that the routes use, built in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import environ
from typing import cast

from flask import current_app

from api.identity.database_roles import Engines, make_engines
from api.identity.tokens import Verifier, verifier_of
from api.live.hub import Streams
from api.live.viewer_documents import ViewerDocuments
from api.wiring.publisher import Publisher
from api.wiring.rejection_alarm import RejectionAlarm
from pipeline.media.confinement import require_isolation
from pipeline.media.tools import Tools, locate_tools
from pipeline.process_settings import ApiSettings
from pipeline.providers.account_terms import AccountTerms, terms_of
from pipeline.providers.accounts import open_accounts
from pipeline.providers.active_secrets import SecretBook, open_book
from pipeline.providers.base import Provider
from pipeline.providers.callback_documents import CallbackDocuments
from pipeline.storage.base import Storage
from pipeline.storage.open import open_storage

EXTENSION = "khronika"


@dataclass(frozen=True)
class Services:
    """The outside world of the API."""

    settings: ApiSettings
    engines: Engines
    providers: Mapping[str, Provider]
    storage: Storage
    publisher: Publisher
    streams: Streams
    verifier: Verifier
    secrets: SecretBook
    documents: CallbackDocuments
    alarm: RejectionAlarm
    tools: Tools

    @property
    def account_terms(self) -> Sequence[AccountTerms]:
        """The terms of the provider accounts, the preferred one first."""
        return terms_of(self.settings.accounts, self.settings.spend.limits)

    def close(self) -> None:
        """End every stream and close every connection."""
        self.streams.end_all()
        self.engines.close()
        self.publisher.close()


def build_services(settings: ApiSettings) -> Services:
    """Build the services; none connects yet, so a process starts before its database.

    Raises:
        ToolsMissing: There is no ffprobe.
        IsolationMissing: This machine cannot isolate it.
        StorageUrlInvalid: ``STORAGE_URL`` names no known storage.
    """
    require_isolation(settings.sources.isolation_waive)
    engines = make_engines(settings)
    return Services(
        settings=settings,
        engines=engines,
        providers=open_accounts(settings.accounts, settings.providers, settings.callbacks),
        storage=open_storage(settings.storage.url, settings.storage.credentials),
        publisher=Publisher(
            settings.broker.broker_url.get_secret_value(), settings.media_urls.message_key
        ),
        streams=Streams(
            lambda: ViewerDocuments(engines, settings.media_urls),
            most=settings.streams.clients,
            most_per_address=settings.streams.clients_per_address,
            every_sec=settings.streams.look_sec,
        ),
        verifier=verifier_of(settings.tokens),
        secrets=open_book(
            settings.media_urls.accepted_keys,
            settings.callback_secrets,
            first=settings.accounts.first_secrets,
            reading=engines.api,
            seeding=engines.operator_login,
        ),
        documents=CallbackDocuments(),
        alarm=RejectionAlarm(settings.callbacks.alarm_rejections),
        tools=locate_tools(environ),
    )


def services() -> Services:
    """Return the services of the running application."""
    return cast("Services", current_app.extensions[EXTENSION])
