"""Settings of the servers that the product stands on: database, broker, storage, and of logs."""

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from pipeline.config.groups import SettingsGroup
from pipeline.runtime.broker_urls import check_guarded
from pipeline.runtime.deployment import DeploymentFields
from pipeline.storage.urls import Credentials


class DeploymentSettings(DeploymentFields, SettingsGroup):
    """The kind of deployment, and the risks that its operator accepts."""


class LogSettings(SettingsGroup):
    """The log of a process."""

    log_level: str = "INFO"
    """Lowest level that is written."""


class ApiLogin(SettingsGroup):
    """The API's database login."""

    url: SecretStr = Field(validation_alias="KHRONIKA_API_DATABASE_URL")
    """Login of the role ``khronika_api``, which row-level security bounds to an owner's rows."""


class PublicLogin(SettingsGroup):
    """The database login of the public view."""

    url: SecretStr = Field(validation_alias="KHRONIKA_PUBLIC_DATABASE_URL")
    """Login of the role ``khronika_public``, which may call one function and nothing else."""


class OperatorLogin(SettingsGroup):
    """The operators' database login."""

    url: SecretStr = Field(validation_alias="KHRONIKA_OPERATOR_DATABASE_URL")
    """Login of the role ``khronika_operator``. Without it the API serves neither the console nor
    operators' tokens, and ``/metrics`` lacks the figures that are read from the database."""


class WorkerLogin(SettingsGroup):
    """The worker's database login."""

    url: SecretStr = Field(validation_alias="KHRONIKA_WORKER_DATABASE_URL")
    """Login of the role ``khronika_worker``."""


class PoolSettings(SettingsGroup):
    """The database connections of a process."""

    database_pool_size: int = Field(5, ge=1, le=100)
    """Connections that a process keeps for each role. A web process has more threads, but at any
    moment few of them use the database. As many again may be opened under load; a request that gets
    none within 5 seconds is answered 503."""


class BrokerSettings(SettingsGroup):
    """The broker, which carries hints and may be flushed at any time."""

    broker_open: bool = False
    """True accepts a broker without a password, on a machine that only trusted users can reach."""
    broker_url: SecretStr = Field(validation_alias="BROKER_URL")
    """Redis, Valkey or RabbitMQ."""

    @field_validator("broker_url")
    @classmethod
    def _guarded(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if not info.data.get("broker_open"):
            check_guarded(value.get_secret_value())
        return value


class StorageSettings(SettingsGroup):
    """The storage of sources and outputs."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_STORAGE_")

    url: str = Field(validation_alias="STORAGE_URL")
    """``file:///absolute/path``, or ``s3://bucket/prefix?endpoint=…&region=…``, of which only the
    bucket is required."""
    key_id: str | None = None
    """Access key id for a storage in S3. Unset, boto3 searches its usual places."""
    secret: SecretStr | None = Field(None, validate_default=True)
    """Secret of that access key."""

    @field_validator("secret")
    @classmethod
    def _both_or_neither(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (value is None) != (info.data.get("key_id") is None):
            raise ValueError("goes with KHRONIKA_STORAGE_KEY_ID: set both or neither")
        return value

    @property
    def credentials(self) -> Credentials | None:
        """Credentials for a storage in S3; None leaves the search to boto3."""
        if self.key_id is None or self.secret is None:
            return None
        return Credentials(self.key_id, self.secret.get_secret_value())
