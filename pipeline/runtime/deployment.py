"""The kind of deployment: production, unless the environment declares development."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from pipeline.runtime.filed_settings import FiledSettings

REFUSED = 3
"""Exit code of a process whose settings refuse its start. A gunicorn whose worker ends with it ends
too; after any other code it would start the worker again, for ever."""


class Deployment(StrEnum):
    """The kind of deployment that a process runs in."""

    PRODUCTION = "production"
    """Unsafe settings refuse the start, but for those whose risk is accepted by its name."""
    DEVELOPMENT = "development"
    """Every setting is allowed, and the process serves its own machine alone."""


class Risk(StrEnum):
    """A risk that an operator with a reason may accept (``KHRONIKA_ACCEPT_RISK``)."""

    PRIVATE_SOURCES = "private_sources"
    PLAIN_HTTP_SOURCES = "plain_http_sources"
    ANY_SOURCE_PORT = "any_source_port"
    PLAIN_PUBLIC_ADDRESS = "plain_public_address"
    PLAIN_SERVICE = "plain_service"
    PLAIN_STORAGE = "plain_storage"
    PLAIN_KEYS = "plain_keys"
    ANY_ORIGIN = "any_origin"
    PLAIN_ORIGIN = "plain_origin"
    UNCOUNTED_PROXIES = "uncounted_proxies"
    OPEN_POSTS = "open_posts"
    OPEN_METRICS = "open_metrics"
    OPEN_FLOWER = "open_flower"
    DEFAULT_ISSUER = "default_issuer"
    WEAK_KEY = "weak_key"
    SHARED_KEY = "shared_key"
    SHARED_LOGIN = "shared_login"
    OWNER_LOGIN = "owner_login"
    DATABASE_LOGIN = "database_login"
    DATABASE_WITHOUT_TLS = "database_without_tls"
    BROKER_LOGIN = "broker_login"
    BROKER_WITHOUT_TLS = "broker_without_tls"
    NO_LIMIT = "no_limit"
    LONG_LIFE = "long_life"
    NO_ISOLATION = "no_isolation"
    DEBUG = "debug"


class DeploymentFields(FiledSettings):
    """The settings that every process has."""

    env: Deployment = Field(Deployment.PRODUCTION, validation_alias="KHRONIKA_ENV")
    """``production`` refuses to start with an unsafe setting. ``development`` allows every setting,
    and serves this machine alone: its listeners and its clients must be on loopback."""
    accept_risk: Annotated[frozenset[Risk], NoDecode] = Field(
        frozenset(), validation_alias="KHRONIKA_ACCEPT_RISK"
    )
    """Risks that are accepted by the names of docs/production.md, such as
    ``database_without_tls``: their settings do not refuse the start."""

    @field_validator("accept_risk", mode="before")
    @classmethod
    def _split_risks(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @property
    def is_development(self) -> bool:
        """True if the environment declares development."""
        return self.env is Deployment.DEVELOPMENT
