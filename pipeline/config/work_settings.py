"""Settings of the work on a video: retries, leases, sweeps, providers and their callbacks."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pipeline.config.groups import SettingsGroup
from pipeline.domain.values import Playback, Profile


class RetrySettings(SettingsGroup):
    """The retry budget of a video, and its waits."""

    max_attempts: int = Field(5, ge=1, le=20)
    """Jobs that providers took and that failed, before the video fails with the last one's code.
    Other failures are not counted: the video waits until its deadline."""
    backoff_base_sec: float = Field(2.0, gt=0)
    """Bound of the first wait, in seconds. A wait doubles it each time, a failed job multiplies it
    by eight."""
    backoff_cap_sec: float = Field(1800.0, gt=0)
    """Longest wait, in seconds: an outage of hours is tried about twice an hour."""
    wait_deadline_sec: int = Field(24 * 3600, ge=1)
    """Seconds that a video may wait in ``queued``, or for our machines, our storage, the network or
    a provider to work again."""


class LeaseSettings(SettingsGroup):
    """Bounds of an attempt: of a worker's hold on it, and of a provider's work.

    Those of the hold nest: ``KHRONIKA_PROVIDER_TIMEOUT_SEC`` < soft limit < hard limit < lease <
    visibility timeout. While a source arrives, each of its bytes begins them anew.
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

    playback: Playback = Playback.PUBLIC
    """``public`` gives everybody the URLs of its output, ``signed`` gives each viewer URLs that
    expire. It applies if create names neither."""


class ProviderSettings(SettingsGroup):
    """The use of every provider account."""

    provider_timeout_sec: float = Field(20.0, gt=0)
    """Longest HTTP call to a provider, in seconds."""
    account_grace_sec: float = Field(900.0, gt=0)
    """Seconds for which a video waits for an account that its vendor refuses after it took the
    job. Then another account gets the video, if one can do the job; a second encode is paid."""
    max_profile: Profile | None = None
    """The largest rendition that is made of any source, ``2160p`` to ``240p``. Larger ones cost the
    most, and few viewers see them. Unset leaves it to the provider; our transcoder has a cap of
    its own."""


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

    callback_secret_overlap_sec: int = Field(48 * 3600, ge=0)
    """Seconds that a replaced secret still verifies. The transcoder signs a callback anew for each
    try and tries for 24 h: twice that leaves a day to bring it the new secret."""
