"""Settings of each process: only the groups that it needs.

A process reads its settings once, at its root, with `pipeline.config.groups.load_settings`. A
function takes the group that it reads.
"""

from dataclasses import dataclass

from pipeline.config.account_settings import AccountListSettings
from pipeline.config.cdn_settings import CdnSettings
from pipeline.config.limit_settings import (
    BreakerSettings,
    OwnerLimitSettings,
    RequestLimitSettings,
    RolloutSettings,
    SpendSettings,
    WorkSettings,
)
from pipeline.config.media_settings import MediaUrlSettings, SourceSettings, UploadSettings
from pipeline.config.retention_settings import RetentionSettings
from pipeline.config.server_settings import (
    ApiLogin,
    BrokerSettings,
    DeploymentSettings,
    LogSettings,
    OperatorLogin,
    PoolSettings,
    PublicLogin,
    StorageSettings,
    WorkerLogin,
)
from pipeline.config.token_settings import TokenSettings
from pipeline.config.web_settings import (
    ClientSettings,
    InternalSettings,
    MetricsSettings,
    PostSettings,
    StreamSettings,
)
from pipeline.config.work_settings import (
    CallbackSecretSettings,
    CallbackSettings,
    LeaseSettings,
    NewVideoSettings,
    ProviderSettings,
    RetrySettings,
    SweepSettings,
)
from pipeline.domain.values import BreakerLimits
from pipeline.providers.accounts import Accounts


@dataclass(frozen=True)
class ApiSettings:
    """Settings of the API."""

    deployment: DeploymentSettings
    logs: LogSettings
    api_login: ApiLogin
    public_login: PublicLogin
    operator_login: OperatorLogin | None
    pool: PoolSettings
    broker: BrokerSettings
    storage: StorageSettings
    media_urls: MediaUrlSettings
    tokens: TokenSettings
    posts: PostSettings
    sources: SourceSettings
    uploads: UploadSettings
    clients: ClientSettings
    internal: InternalSettings
    metrics: MetricsSettings
    streams: StreamSettings
    work: WorkSettings
    request_limits: RequestLimitSettings
    owner_limits: OwnerLimitSettings
    spend: SpendSettings
    new_videos: NewVideoSettings
    retry: RetrySettings
    providers: ProviderSettings
    accounts: Accounts
    callbacks: CallbackSettings
    callback_secrets: CallbackSecretSettings

    @property
    def limit_store_url(self) -> str:
        """URL of the counter of requests."""
        return self.request_limits.store(self.broker.broker_url.get_secret_value())


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of the worker, and of ``khronika clean``, which does one of its tasks."""

    deployment: DeploymentSettings
    logs: LogSettings
    worker_login: WorkerLogin
    pool: PoolSettings
    broker: BrokerSettings
    storage: StorageSettings
    media_urls: MediaUrlSettings
    sources: SourceSettings
    uploads: UploadSettings
    owner_limits: OwnerLimitSettings
    spend: SpendSettings
    breaker: BreakerSettings
    retry: RetrySettings
    leases: LeaseSettings
    sweep: SweepSettings
    providers: ProviderSettings
    accounts: Accounts
    callbacks: CallbackSettings
    cdn: CdnSettings
    retention: RetentionSettings

    @property
    def message_key(self) -> str:
        """Key that signs task messages."""
        return self.media_urls.message_key

    @property
    def breaker_limits(self) -> BreakerLimits:
        """Limits of the circuit breakers; a try lasts as long as a lease at most."""
        return self.breaker.limits(probe_sec=self.leases.lease_sec)


@dataclass(frozen=True)
class FlowerSettings:
    """Settings of celeryconfig.py, which are all that Flower needs."""

    deployment: DeploymentSettings
    logs: LogSettings
    broker: BrokerSettings
    leases: LeaseSettings
    sweep: SweepSettings


@dataclass(frozen=True)
class BeatSettings:
    """Settings of the beat, which reads celeryconfig.py, signs its messages and runs no task."""

    deployment: DeploymentSettings
    logs: LogSettings
    broker: BrokerSettings
    leases: LeaseSettings
    sweep: SweepSettings
    media_urls: MediaUrlSettings

    @property
    def message_key(self) -> str:
        """Key that signs task messages."""
        return self.media_urls.message_key


@dataclass(frozen=True)
class OperatorSettings:
    """Settings of the operators' commands."""

    deployment: DeploymentSettings
    internal: InternalSettings
    operator_login: OperatorLogin
    media_urls: MediaUrlSettings
    posts: PostSettings
    sources: SourceSettings
    new_videos: NewVideoSettings
    retry: RetrySettings
    spend: SpendSettings
    accounts: AccountListSettings
    callback_secrets: CallbackSecretSettings
    rollout: RolloutSettings


@dataclass(frozen=True)
class DoctorSettings:
    """Settings of ``khronika doctor``, which examines a whole system."""

    api: ApiSettings
    worker: WorkerSettings
    operator: OperatorSettings
