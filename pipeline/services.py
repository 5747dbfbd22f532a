"""What the worker's use cases work with, chosen in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from os import environ
from random import Random, SystemRandom
from urllib.parse import urlsplit

from sqlalchemy import Engine

from pipeline.config.settings import Settings
from pipeline.media.source_limits import Limits
from pipeline.media.tools import Tools, locate_tools
from pipeline.net.fetch import FetchPolicy, GuardedFetcher
from pipeline.net.fetch_policy import DEFAULT_PORTS, allowed_ports
from pipeline.providers import load_providers
from pipeline.providers.base import Provider
from pipeline.runtime.database import make_engine
from pipeline.runtime.wakes import Wake
from pipeline.storage.base import Storage
from pipeline.storage.open import open_storage

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@dataclass(frozen=True)
class Services:
    """The outside world, as the use cases see it.

    Attributes:
        fetcher: Reads what strangers name: every address is checked.
        own_fetcher: Reads our own media through our own public address, wherever that is, and
            through that of our storage; no other host.
    """

    settings: Settings
    engine: Engine
    providers: Mapping[str, Provider]
    storage: Storage
    fetcher: GuardedFetcher
    own_fetcher: GuardedFetcher
    tools: Tools
    limits: Limits
    rng: Random

    def close(self) -> None:
        """Let every connection go."""
        self.engine.dispose()
        self.fetcher.close()
        self.own_fetcher.close()


@dataclass(frozen=True)
class Outcome:
    """What a use case did, in a word, and whom to wake after the commit."""

    what: str
    wakes: tuple[Wake, ...] = ()


def limits_of(settings: Settings) -> Limits:
    """What a source may measure."""
    return Limits(
        max_bytes=settings.source_max_bytes,
        max_duration_sec=settings.source_max_duration_sec,
        max_frames=settings.source_max_frames,
    )


def fetch_policy(settings: Settings) -> FetchPolicy:
    """What may be fetched on a stranger's word."""
    return FetchPolicy(
        allow=settings.source_allow,
        https_only=not settings.source_http,
        ports=allowed_ports(settings.source_ports, http=settings.source_http),
        total_timeout_sec=settings.task_soft_limit_sec / 2,
    )


def own_policy(settings: Settings, storage: Storage) -> FetchPolicy:
    """What may be fetched of our own: it may lie inside, so no address but ours will do."""
    ours = [urlsplit(origin) for origin in (settings.base_url, *storage.origins)]
    return FetchPolicy(
        allow=EVERYWHERE,
        https_only=False,
        hosts=frozenset((origin.hostname or "").removesuffix(".") for origin in ours),
        # 443 as well: the proxy before us may turn http into https.
        ports=frozenset(origin.port or DEFAULT_PORTS[origin.scheme] for origin in ours)
        | {DEFAULT_PORTS["https"]},
        total_timeout_sec=settings.provider_timeout_sec,
    )


def build_services(settings: Settings) -> Services:
    """Choose the real things."""
    storage = open_storage(settings.storage_url, settings.storage_credentials)
    return Services(
        settings=settings,
        engine=make_engine(
            settings.worker_database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            name="khronika worker",
        ),
        providers=load_providers(settings),
        storage=storage,
        fetcher=GuardedFetcher(fetch_policy(settings)),
        own_fetcher=GuardedFetcher(own_policy(settings, storage)),
        tools=locate_tools(environ),
        limits=limits_of(settings),
        rng=SystemRandom(),
    )
