"""Settings that bound the use of the product: by an owner, by a fault, by a provider's outage."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pipeline.config.groups import SettingsGroup
from pipeline.config.media_settings import GIB
from pipeline.config.request_rates import Rate, StoreUrl, store_for
from pipeline.domain.rollout import Requirements
from pipeline.domain.values import BreakerLimits, SpendLimits


class OwnerLimitSettings(SettingsGroup):
    """Limits of one owner."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_OWNER_")

    max_live: int = Field(100, ge=1)
    """Videos of one owner that may be queued, retrying or processing at once. An album fits, and no
    other owner waits for hours. Failed, completed and deleted videos do not count."""
    max_reading: int = Field(3, ge=1)
    """Sources of one owner that are read at once, before their videos are submitted. Fewer than the
    processes of the submitters (``KHRONIKA_SUBMIT_PROCESSES``), so that one owner's slow origin
    stops nobody else."""
    daily_assets: int | None = Field(None, ge=1)
    """Videos that one owner may register in a day (UTC). Unset, here and below, is without end:
    only the site knows its users' days, and videos in flight are bounded in any case."""
    daily_bytes: int | None = Field(None, ge=1)
    """Bytes of sources that one owner may register in a day."""
    daily_media_sec: float | None = Field(None, gt=0)
    """Seconds of video that one owner may register in a day."""
    max_uploads: int = Field(100, ge=1)
    """Uploads of one owner, in progress or complete, that no video uses yet: as many as may be in
    flight once videos use them."""
    max_upload_bytes: int = Field(50 * GIB, ge=1)
    """Declared bytes of those uploads together: ten of the largest sources. They stay in the
    storage for up to twice ``KHRONIKA_UPLOAD_EXPIRES_SEC``, and no daily quota counts them. An
    owner's first upload is always accepted."""


class SpendSettings(SettingsGroup):
    """Budgets of a provider account within a clock hour."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_SPEND_")

    assets_per_hour: int | None = Field(None, ge=1)
    """Videos that a provider account may be given. It bounds the cost of a fault or an attack.
    Unset is without end: only the operator knows the budget of an hour."""
    minutes_per_hour: float | None = Field(None, gt=0)
    """Minutes of video that a provider account may be given."""

    @property
    def limits(self) -> SpendLimits:
        """The budget of an account that has none of its own."""
        return SpendLimits(self.assets_per_hour, self.minutes_per_hour)


class RolloutSettings(SettingsGroup):
    """Requirements of the rollout: what a stage must show before the next one begins."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_ROLLOUT_")

    videos: int = Field(20, ge=1)
    """Videos that must have ended in the stage. Among fewer, one failure says little."""
    failure_rate: float = Field(0.02, ge=0, le=1)
    """Highest share of failed videos; failures of the file and cancelled videos do not count."""
    missed_rate: float = Field(0.05, ge=0, le=1)
    """Highest share of results whose callback did not come and that a poll found."""
    ready_sec: float = Field(600.0, gt=0)
    """Longest time from create to completed of 95 % of the videos. Films take longer: set it by the
    videos of your site."""
    drill_age_sec: float = Field(86_400.0, gt=0)
    """Greatest age of the last fallback drill."""

    @property
    def requirements(self) -> Requirements:
        """The requirements as the domain takes them."""
        return Requirements(
            videos=self.videos,
            failure_rate=self.failure_rate,
            missed_rate=self.missed_rate,
            ready_sec=self.ready_sec,
            drill_age=timedelta(seconds=self.drill_age_sec),
        )


class BreakerSettings(SettingsGroup):
    """The circuit breaker of each provider account."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_BREAKER_")

    failures: int = Field(5, ge=1)
    """Submissions in a row without an answer, after which new ones wait. One job that the provider
    chokes on fails fewer times, and an outage costs no more than a handful."""
    open_sec: float = Field(10.0, gt=0)
    """Seconds until one submission tries again; doubled by each try that fails."""
    cap_sec: float = Field(300.0, gt=0)
    """Longest such wait: the end of an outage is noticed at most five minutes late."""

    def limits(self, *, probe_sec: float) -> BreakerLimits:
        """Return the limits; ``probe_sec`` is the longest that one try may take."""
        return BreakerLimits(
            failures=self.failures,
            open_sec=self.open_sec,
            cap_sec=self.cap_sec,
            probe_sec=probe_sec,
        )


class RequestLimitSettings(SettingsGroup):
    """Limits of requests to the API."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_LIMIT_")

    store_url: StoreUrl | None = Field(None, validation_alias="KHRONIKA_LIMITS_URL")
    """Counter of requests: Redis or Valkey, or ``memory://`` (each process counts for itself).
    Unset: the broker, or memory where the broker is RabbitMQ."""
    create: Rate = "60/minute"
    """Videos that one owner may register: many more than a person posts, and an import in an
    hour."""
    retry: Rate = "30/minute"
    """Manual retries and re-encodes of one owner. Each may cost a whole encode, and a second one
    within the same second has no use."""
    uploads: Rate = "60/minute"
    """Upload tickets of one owner: as many as videos."""
    address_factor: int = Field(10, ge=1)
    """Owners who may share an address, as in an office: one address may make as many times more
    requests."""
    bad_signatures: Rate = "60/minute"
    """Callbacks with a bad signature that one address gets an answer to and that are recorded. A
    callback with a good signature is always taken."""
    sign_in: Rate = "10/minute"
    """Tokens that one address may try at the operators' console: a person pastes one or two."""

    def store(self, broker_url: str) -> str:
        """Return the URL of the counter."""
        return self.store_url.get_secret_value() if self.store_url else store_for(broker_url)


class WorkSettings(SettingsGroup):
    """Expensive work that one API process does at once.

    One owner has at most half of it, and one address three quarters.
    """

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_WORK_")

    checks: int = Field(4, ge=1)
    """Checks of uploads, each with an ffprobe: a core is busy with each for a second or two."""
    contents: int = Field(32, ge=1)
    """Files and parts that arrive and are hashed. Each occupies a thread; our clients send three
    parts at a time."""
    storage: int = Field(16, ge=1)
    """Requests that sign, list or delete parts in the storage: up to some calls of a bucket."""
    media: int = Field(48, ge=1)
    """Objects that are read from our own storage. Each occupies a thread while its client reads."""
    console: int = Field(8, ge=1)
    """Pages of the operators' console."""
    metrics: int = Field(2, ge=1)
    """Scrapes of the metrics, which count rows."""
