"""The services that the worker's use cases work with, built in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import environ
from random import Random, SystemRandom

from sqlalchemy import Engine

from pipeline.config.account_settings import AccountSettings
from pipeline.domain.values import SpendLimits
from pipeline.media.confinement import require_isolation
from pipeline.media.host_fitness import HostFitness
from pipeline.media.tools import Tools, locate_tools
from pipeline.net.fetch import FetchPolicy, GuardedFetcher
from pipeline.net.origins import DEFAULT_PORTS, web_origin_of
from pipeline.process_settings import WorkerSettings
from pipeline.providers.accounts import open_accounts
from pipeline.providers.base import Provider
from pipeline.providers.callback_documents import Fetch, fetch_document
from pipeline.providers.manners import Mannered
from pipeline.runtime.database import make_engine
from pipeline.runtime.task_bounds import TaskBounds
from pipeline.runtime.wakes import Wake
from pipeline.storage.base import Storage
from pipeline.storage.open import open_storage


@dataclass(frozen=True)
class Services:
    """The outside world of the use cases.

    Attributes:
        fetcher: Reads addresses that strangers name; every address is checked.
        own_fetcher: Reads our own media through our own public address, wherever that is, and
            through that of our storage; no other host.
        host: Knows whether this machine's programs work.
        fetch_document: Fetches a document of a provider, from the hosts that its account trusts.
        bounds: Ends the task that this process runs.
    """

    settings: WorkerSettings
    engine: Engine
    providers: Mapping[str, Provider]
    storage: Storage
    fetcher: GuardedFetcher
    own_fetcher: GuardedFetcher
    tools: Tools
    rng: Random
    host: HostFitness = field(default_factory=HostFitness)
    fetch_document: Fetch = fetch_document
    bounds: TaskBounds = field(default_factory=TaskBounds)

    def spend_limits(self, account: str) -> SpendLimits:
        """Return the hourly budget of an account."""
        return self.settings.accounts.spend_limits(account, self.settings.spend.limits)

    def deadline_sec(self, account: str) -> int:
        """Return the seconds that an account may work on one attempt."""
        settings: AccountSettings = self.settings.accounts.by_name[account].settings
        return settings.deadline_sec or self.settings.leases.processing_deadline_sec

    def poll_least_sec(self, account: str) -> float:
        """Return the least seconds between two polls of a job."""
        own = self.providers[account].capabilities.poll_least_sec
        return own or self.settings.sweep.poll_least_sec

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self.fetcher.close()
        self.own_fetcher.close()


@dataclass(frozen=True)
class Outcome:
    """The result of a use case, in a word, and the workers to wake after the commit."""

    result: str
    wakes: tuple[Wake, ...] = ()


def own_policy(base_url: str, storage: Storage, *, timeout_sec: float) -> FetchPolicy:
    """Return the policy for our own media: only our origins, wherever they lie."""
    api = web_origin_of(base_url)
    # https too, because a proxy in front of the API may turn http into https.
    secure = replace(api, scheme="https", port=DEFAULT_PORTS["https"])
    return FetchPolicy(
        own=frozenset({api, secure, *map(web_origin_of, storage.origins)}),
        own_only=True,
        total_timeout_sec=timeout_sec,
    )


def build_services(settings: WorkerSettings) -> Services:
    """Build the services of a worker.

    Raises:
        ToolsMissing: ffmpeg or ffprobe was not found.
        IsolationMissing: This machine cannot isolate them.
    """
    require_isolation(settings.sources.isolation_waive)
    timeout_sec = settings.providers.provider_timeout_sec
    strangers = replace(
        settings.sources.fetch_policy, total_timeout_sec=settings.leases.task_soft_limit_sec / 2
    )
    storage = open_storage(settings.storage.url, settings.storage.credentials)
    opened = open_accounts(settings.accounts, settings.providers, settings.callbacks)
    engine = make_engine(
        settings.worker_login.url.get_secret_value(),
        pool_size=settings.pool.database_pool_size,
        name="khronika worker",
    )
    return Services(
        settings=settings,
        engine=engine,
        providers={
            name: Mannered(each, engine, settings.accounts.by_name[name].settings)
            for name, each in opened.items()
        },
        storage=storage,
        fetcher=GuardedFetcher(strangers),
        own_fetcher=GuardedFetcher(
            own_policy(settings.media_urls.base_url, storage, timeout_sec=timeout_sec)
        ),
        tools=locate_tools(environ),
        rng=SystemRandom(),
    )
