"""Settings of the work on a video: retries, leases, sweeps, providers and their callbacks."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from pipeline.config.comma_lists import split_set, split_tuple
from pipeline.config.groups import SettingsGroup
from pipeline.domain.values import Playback, Profile
from pipeline.net.signatures import MAX_ACTIVE_SECRETS, check_secret

Host = Annotated[str, Field(pattern=r"^[0-9a-z._-]+$")]


class RetrySettings(SettingsGroup):
    """The retry budget of a video, and its waits."""

    max_attempts: int = Field(5, ge=1, le=20)
    """Failures that an asset may spend before it fails as ``retry_exhausted``."""
    backoff_base_sec: float = Field(2.0, gt=0)
    """Bound of the first wait, in seconds; each failure doubles it."""
    backoff_cap_sec: float = Field(600.0, gt=0)
    """Longest wait, in seconds."""
    wait_deadline_sec: int = Field(24 * 3600, ge=1)
    """Seconds that an asset may wait in ``queued`` or ``retrying``."""


class LeaseSettings(SettingsGroup):
    """Bounds of an attempt: of a worker's hold on it, and of a provider's work.

    Those of the hold nest: ``KHRONIKA_PROVIDER_TIMEOUT_SEC`` < soft limit < hard limit < lease <
    visibility timeout.
    """

    task_soft_limit_sec: int = Field(90, ge=1)
    """Seconds after which a task is asked to end."""
    task_hard_limit_sec: int = Field(105, ge=1)
    """Seconds after which a task's process is killed."""
    lease_sec: int = Field(120, ge=1)
    """Seconds after which another worker may take over."""
    max_claims: int = Field(3, ge=1)
    """Claims of one attempt before it fails as ``worker_crashed``."""
    processing_deadline_sec: int = Field(6 * 3600, ge=1)
    """Seconds that a provider may work on an attempt before it is given up."""


class SweepSettings(SettingsGroup):
    """The search for due work."""

    sweep_every_sec: float = Field(3.0, gt=0)
    """Seconds between two sweeps."""
    wake_grace_sec: float = Field(15.0, gt=0)
    """Seconds that a woken asset is left alone before the sweep wakes it again."""
    poll_least_sec: float = Field(10.0, gt=0)
    """Least seconds until a provider is asked about a job whose callback has not come."""


class NewVideoSettings(SettingsGroup):
    """The choices for a new video."""

    default_provider: str = "selfhosted"
    """Provider account that it goes to, and whose callbacks ``/webhook`` takes."""
    playback: Playback = Playback.PUBLIC
    """``public`` gives everybody the URLs of its output, ``signed`` gives each viewer URLs that
    expire. It applies if create names neither."""


class ProviderSettings(SettingsGroup):
    """The use of every provider account."""

    provider_timeout_sec: float = Field(20.0, gt=0)
    """Longest HTTP call to a provider, in seconds."""
    max_profile: Profile | None = None
    """The largest rendition that is made of any source, ``2160p`` to ``240p``. Larger ones cost the
    most, and few viewers see them. Unset leaves it to the provider; our transcoder has a cap of
    its own."""


class SelfhostedSettings(SettingsGroup):
    """The account ``selfhosted``: our own transcoder."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_SELFHOSTED_")

    url: AnyHttpUrl
    """The transcoder's address."""
    token: SecretStr
    """Bearer token that the transcoder accepts."""
    webhook_sources: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks that its callbacks may come from. Empty: any."""
    output_hosts: Annotated[frozenset[Host], NoDecode] = frozenset()
    """Hosts that its outputs may lie on. Empty: only our own storage, below the prefixes of the
    attempt that they were made for."""

    _split_networks = field_validator("webhook_sources", mode="before")(split_tuple)
    _split_hosts = field_validator("output_hosts", mode="before")(split_set)


class CallbackSettings(SettingsGroup):
    """Callbacks of providers, and the inbox that holds them."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_CALLBACK_")

    tolerance_sec: int = Field(300, ge=1)
    """Seconds that a callback's timestamp may be from now, both ways (Standard Webhooks: 5 min)."""
    alarm_rejections: int = Field(50, ge=1)
    """Rejected callbacks of one account within five minutes that make the log report an error. A
    wrong secret or an attack causes as many; a stray retry does not."""
    max_bytes: int = Field(256 * 1024, ge=1024)
    """Largest callback, in bytes."""
    unknown_sec: int = Field(3600, ge=1)
    """Seconds that a callback for an unknown job is tried again."""
    max_delivery_tries: int = Field(5, ge=1, validation_alias="KHRONIKA_MAX_DELIVERY_TRIES")
    """Tries of one inbox row before it is ``dead``."""


class CallbackSecretSettings(SettingsGroup):
    """The secrets that verify callbacks, and their rotation."""

    secret_key_previous: SecretStr | None = None
    """The value of ``KHRONIKA_SECRET_KEY`` before its last change: it still opens callback secrets
    and signs nothing. Needed until each account's secret is rotated and the overlap is over."""
    callback_secret_overlap_sec: int = Field(48 * 3600, ge=0)
    """Seconds that a replaced secret still verifies. The transcoder signs a callback anew for each
    try and tries for 24 h: twice that leaves a day to bring it the new secret."""
    selfhosted_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """First secrets of the transcoder's callbacks, ``whsec_…``, the current one first. They are
    read while the account has none in the database; from then on `khronika secrets` has them."""

    _split = field_validator("selfhosted_webhook_secrets", mode="before")(split_tuple)

    @field_validator("selfhosted_webhook_secrets")
    @classmethod
    def _usable_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if len(value) > MAX_ACTIVE_SECRETS:
            raise ValueError(f"names more than {MAX_ACTIVE_SECRETS} secrets")
        for secret in value:
            check_secret(secret.get_secret_value())
        return value
