"""Every setting of api and worker: one frozen object, read once at the roots.

A missing or wrong variable stops the start; all of them are listed at once, by name.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import (
    AnyHttpUrl,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict

from pipeline.config.request_rates import Rate, StoreUrl, store_for
from pipeline.config.token_issuers import MIN_SECRET_BYTES, Issuer, is_long_enough
from pipeline.domain.values import BreakerLimits, Playback, PostClaim, Profile, SpendLimits
from pipeline.media.source_limits import DEFAULT_MAX_FRAMES
from pipeline.net.signatures import MAX_ACTIVE_SECRETS, check_secret
from pipeline.runtime.broker_urls import check_guarded
from pipeline.runtime.filed_settings import FiledSettings, read_settings
from pipeline.storage.urls import Credentials

MIB = 1024**2
GIB = 1024**3

Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(pattern=r"^[0-9a-z._-]+$")]


class Settings(FiledSettings):
    """Read from ``KHRONIKA_*``, but for the four that platforms set: PORT, *_URL.

    Each secret may come in a file that ``NAME_FILE`` names.
    """

    model_config = SettingsConfigDict(
        env_prefix="KHRONIKA_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    port: int = Field(8080, validation_alias="PORT", ge=1, le=65535)
    """Where the API listens."""
    broker_open: bool = False
    """Whether a broker without a password will do, where nobody else can reach it."""
    broker_url: SecretStr = Field(validation_alias="BROKER_URL")
    """Redis, Valkey or RabbitMQ. Holds hints only: it may be flushed."""
    storage_url: str = Field(validation_alias="STORAGE_URL")
    """Where sources and outputs live: ``file:///absolute/path``, or
    ``s3://bucket/prefix?endpoint=…&region=…``, of which all but the bucket may be left out."""
    storage_key_id: str | None = None
    """As whom an S3 storage is used; unset, boto3 looks where it always does."""
    storage_secret: SecretStr | None = Field(None, validate_default=True)

    api_database_url: SecretStr
    """Login of the role ``khronika_api``: an owner's own rows, by row-level security."""
    worker_database_url: SecretStr
    """Login of the role ``khronika_worker``."""
    operator_database_url: SecretStr
    """Login of the role ``khronika_operator``."""
    public_database_url: SecretStr
    """Login of the role ``khronika_public``: may call one function, nothing else."""
    database_pool_size: int = Field(5, ge=1, le=100)
    """Connections a process keeps per role; a gthread web process has more threads than work
    for the database at any moment."""

    jwt_issuers: Annotated[tuple[Issuer, ...], NoDecode] = ()
    """Whose tokens are accepted, as a JSON list of ``pipeline.config.token_issuers.Issuer``."""
    jwt_secret: SecretStr | None = Field(None, validate_default=True)
    """HS256 key of one more issuer, whose tokens may be operators'; at least 32 bytes (RFC 7518,
    3.2). Needed where ``jwt_issuers`` names nobody."""
    jwt_issuer: str = Field("khronika", min_length=1)
    """That issuer's ``iss``."""
    jwt_audience: str = Field("authenticated", min_length=1)
    """Its ``aud``; Supabase's tokens carry this one."""
    jwks_life_sec: float = Field(600.0, gt=0)
    """How old published keys may be before they are asked for anew: the longest that a key its
    issuer has withdrawn goes on verifying."""
    jwks_cooldown_sec: float = Field(10.0, gt=0)
    """The least time between two requests for an issuer's keys, whatever tokens come."""
    jwks_stale_sec: float = Field(24 * 3600.0, gt=0)
    """How long keys go on verifying while their issuer does not answer."""
    jwks_loopback: bool = Field(False, validate_default=True)
    """Whether keys may come over plain http from this machine; for development."""
    post_claim: PostClaim = PostClaim.OFF
    """Whether owners' tokens must name the posts they may register videos for, where there is no
    ``posts_table`` to ask."""
    secret_key_previous: SecretStr | None = None
    """What ``secret_key`` was before it was changed: still opens callback secrets, signs nothing.
    Needed until each account's secret has been rotated and the overlap is over."""
    secret_key: SecretStr
    """Signs media and upload tokens; at least 32 bytes."""

    public_url: AnyHttpUrl | None = None
    """Where the API is reached from outside; outputs' URLs begin with it."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Sites whose pages may call the API, comma-separated."""
    source_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Private networks that sources may be fetched from; empty in production."""
    source_http: bool = False
    """Whether plain http is accepted of sources, and of what a provider made; for development."""
    source_ports: Annotated[frozenset[Port] | Literal["any"], NoDecode] = frozenset()
    """Ports that either may be fetched from, comma-separated, or ``any``. Empty: 443, and 80 where
    plain http is accepted; any other is hardly ever a video's and often somebody's service."""
    source_max_bytes: int = Field(5 * GIB, ge=1)
    source_max_duration_sec: float = Field(4 * 3600, gt=0)
    source_max_frames: int = Field(DEFAULT_MAX_FRAMES, ge=1)
    """Frames a source may have, whatever its length: the longest at 120 frames a second."""
    upload_expires_sec: int = Field(24 * 3600, ge=60)
    """How long an upload ticket lives."""
    upload_part_bytes: int = Field(8 * MIB, ge=5 * MIB, le=GIB)
    """Of a file that is uploaded in parts; very large ones have larger parts. At least S3's 5 MiB;
    what a lost connection costs is at most one."""
    token_expires_sec: int = Field(24 * 3600, ge=60)
    """How long a provider may fetch a source through its signed address."""

    playback: Playback = Playback.PUBLIC
    """Who is given the addresses of what is published, where create does not say: ``public``
    (everybody) or ``signed``."""
    playback_expires_sec: int = Field(6 * 3600, ge=60)
    """How long a viewer's signed addresses work, at the least: longer than the longest video
    (``source_max_duration_sec``) and a pause in it."""
    original_playback: bool = False
    """Whether a source may stand in for a video that failed, where its owner allows it too."""

    stream_clients: int = Field(30, ge=1, le=1000)
    """Streams of live status one API process keeps open. Each occupies a thread, of which there are
    64, or twice as many as streams and two more."""
    stream_clients_per_address: int = Field(10, ge=1)
    """Of them, those of one address: an office behind one address polls with its eleventh page."""
    stream_life_sec: float = Field(55.0, gt=0)
    """After how long a stream ends, at the latest: before proxies would end it, many at 60 s."""
    stream_look_sec: float = Field(1.0, ge=0.05)
    """How often a process looks for changes of what is followed: one statement each time."""
    stream_ticket_sec: int = Field(600, ge=60)
    """How long a ticket opens streams: several of them, and still not long in somebody's log."""

    limits_url: StoreUrl | None = None
    """Where requests are counted: Redis or Valkey, or ``memory://`` (each process for itself).
    With the broker when absent, or in memory where that is RabbitMQ."""
    limit_create: Rate = "60/minute"
    """Videos one owner may register: many more than a person posts, and an import in an hour."""
    limit_retry: Rate = "30/minute"
    """Manual retries and re-encodes of one owner: each may cost a whole encode, and none helps
    within the second."""
    limit_uploads: Rate = "60/minute"
    """Upload tickets of one owner: as many as videos."""
    limit_address_factor: int = Field(10, ge=1)
    """Owners who may share an address, as an office does: one address may ask that much more."""
    limit_bad_signatures: Rate = "60/minute"
    """Callbacks with a bad signature that one address is told about and that are written down. A
    good one is taken in any case."""
    limit_sign_in: Rate = "10/minute"
    """Tokens that one address may try at the operators' console: a person pastes one or two."""
    proxies: int = Field(0, ge=0, le=10)
    """Proxies before the API that each add an address to ``X-Forwarded-For``. One too many, and
    callers choose the address they are counted by."""
    client_patience_sec: float = Field(30.0, gt=0)
    """How long a client may send no more of its request, or take no more of its answer."""

    max_profile: Profile | None = None
    """The largest rendition that is made of any source, ``2160p`` to ``240p``: what is above costs
    the most and few see. Unset leaves it to the provider; our transcoder has a cap of its own."""
    owner_max_live: int = Field(100, ge=1)
    """Videos of one owner that may be queued, retrying or processing at once: an album in one go,
    and still a wait of hours for nobody else. What failed, completed or was deleted is not
    counted."""
    owner_daily_assets: int | None = Field(None, ge=1)
    """Videos one owner may register in a day (UTC). Unset is without end, here and below: what a
    day of a site's users is only the site knows, and what is in flight is bounded in any case."""
    owner_daily_bytes: int | None = Field(None, ge=1)
    """Bytes of sources one owner may register in a day."""
    owner_daily_media_sec: float | None = Field(None, gt=0)
    """Seconds of video one owner may register in a day."""
    owner_max_uploads: int = Field(100, ge=1)
    """Uploads of one owner, on their way or complete, that no video is made of yet: as many as may
    be in flight once it is."""
    owner_max_upload_bytes: int = Field(50 * GIB, ge=1)
    """What they may hold together, by what was declared: ten of the largest sources. They lie in
    the storage for up to twice ``upload_expires_sec`` and cost no quota of a day. The first is
    always taken."""
    spend_assets_per_hour: int | None = Field(None, ge=1)
    """Videos that a provider account may be given within a clock hour: it bounds what a fault or
    an attack can cost. Unset is without end: what an hour may cost only its operator knows."""
    spend_minutes_per_hour: float | None = Field(None, gt=0)
    """Minutes of video that a provider account may be given within a clock hour."""
    breaker_failures: int = Field(5, ge=1)
    """Submissions in a row that a provider account does not answer, after which new ones wait: more
    than one job that it chokes on costs, and no more than a handful in an outage."""
    breaker_open_sec: float = Field(10.0, gt=0)
    """How long they wait before one is let through to see; twice as long after each that fails."""
    breaker_cap_sec: float = Field(300.0, gt=0)
    """How long at the most: an outage of hours is over at most five minutes late."""

    max_attempts: int = Field(5, ge=1, le=20)
    """Failures an asset may spend before it fails as ``retry_exhausted``."""
    max_claims: int = Field(3, ge=1)
    """Claims of one attempt before it fails as ``worker_crashed``."""
    max_delivery_tries: int = Field(5, ge=1)
    """Tries of one inbox row before it is ``dead``."""
    backoff_base_sec: float = Field(2.0, gt=0)
    backoff_cap_sec: float = Field(600.0, gt=0)
    provider_timeout_sec: float = Field(20.0, gt=0)
    """Each HTTP call to a provider. Nests: this < soft limit < hard limit < lease < visibility."""
    task_soft_limit_sec: int = Field(90, ge=1)
    task_hard_limit_sec: int = Field(105, ge=1)
    lease_sec: int = Field(120, ge=1)
    wait_deadline_sec: int = Field(24 * 3600, ge=1)
    """How long an asset may wait in ``queued`` or ``retrying``."""
    processing_deadline_sec: int = Field(6 * 3600, ge=1)
    """How long a provider may work on an attempt before it is given up."""
    poll_least_sec: float = Field(10.0, gt=0)
    """The soonest a provider is asked about a job whose callback has not come."""
    sweep_every_sec: float = Field(3.0, gt=0)
    wake_grace_sec: float = Field(15.0, gt=0)
    """How long a woken asset is left alone before the sweep wakes it again."""
    callback_tolerance_sec: int = Field(300, ge=1)
    """How far a callback's timestamp may be from now, both ways (Standard Webhooks: 5 min)."""
    callback_secret_overlap_sec: int = Field(48 * 3600, ge=0)
    """How long a secret that was replaced still verifies. The transcoder signs a callback anew for
    each try and tries for 24 h: twice that leaves a day to bring it the new secret."""
    callback_alarm_rejections: int = Field(50, ge=1)
    """Callbacks of one account turned away within five minutes from which on it is an error in the
    log: a wrong secret or an attack, neither of which a stray retry is."""
    callback_max_bytes: int = Field(256 * 1024, ge=1024)
    callback_unknown_sec: int = Field(3600, ge=1)
    """How long a callback for an unknown job is kept trying."""

    default_provider: str = "selfhosted"
    selfhosted_url: AnyHttpUrl
    """Where our own transcoder listens."""
    selfhosted_token: SecretStr
    selfhosted_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """First secrets of its callbacks, ``whsec_…``, comma-separated, the current one first. Read
    where the account has none yet; from then on `khronika secrets` has them."""
    selfhosted_webhook_sources: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks that its callbacks may come from, comma-separated. Empty: any."""
    selfhosted_output_hosts: Annotated[frozenset[Host], NoDecode] = frozenset()
    """Hosts that what it made may lie on, comma-separated. Empty: only in our own storage, below
    the prefixes of the attempt it was made for."""

    posts_table: str | None = None
    """The site's table of posts, where it shares our database: only a post's owner may then
    register a video for it."""
    posts_owner_column: str = Field("owner_id", min_length=1)
    """The column of ``posts_table`` that says whose post it is."""
    log_level: str = "INFO"

    @field_validator(
        "cors_origins",
        "source_allow",
        "selfhosted_webhook_secrets",
        "selfhosted_webhook_sources",
        mode="before",
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("jwt_issuers", mode="before")
    @classmethod
    def _parse_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return tuple(json.loads(value))
        except (TypeError, ValueError, RecursionError):
            raise ValueError("is not a JSON list") from None

    @field_validator("jwt_secret")
    @classmethod
    def _somebody_issues(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # Wrong issuers are told of by themselves; then it is not known whether this is missing.
        if value is None and info.data.get("jwt_issuers") == ():
            raise ValueError("is missing, and KHRONIKA_JWT_ISSUERS names no other issuer")
        return value

    @field_validator("source_ports", "selfhosted_output_hosts", mode="before")
    @classmethod
    def _split_set(cls, value: object) -> object:
        if value == "any" or not isinstance(value, str):
            return value
        return frozenset(part.strip().lower() for part in value.split(",") if part.strip())

    @field_validator("jwt_secret", "secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_long_enough(value):
            raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes")
        return value

    @field_validator("jwks_loopback")
    @classmethod
    def _keys_are_authentic(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001
        for issuer in info.data.get("jwt_issuers", ()):
            if issuer.is_plain_http and not (value and issuer.is_on_this_machine):
                raise ValueError(
                    "jwks_url must be https; http is for this machine alone, where this is true"
                )
        return value

    @model_validator(mode="after")
    def _issuers_differ(self) -> Self:
        if len(self.issuers) < len(self.jwt_issuers) + (self.jwt_secret is not None):
            raise ValueError(
                "KHRONIKA_JWT_ISSUERS and KHRONIKA_JWT_ISSUER name an issuer more than once"
            )
        return self

    @field_validator("storage_secret")
    @classmethod
    def _both_or_neither(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (value is None) != (info.data.get("storage_key_id") is None):
            raise ValueError("goes with KHRONIKA_STORAGE_KEY_ID: set both or neither")
        return value

    @field_validator("broker_url")
    @classmethod
    def _guarded(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if not info.data.get("broker_open"):
            check_guarded(value.get_secret_value())
        return value

    @field_validator("selfhosted_webhook_secrets")
    @classmethod
    def _usable_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if len(value) > MAX_ACTIVE_SECRETS:
            raise ValueError(f"names more than {MAX_ACTIVE_SECRETS} secrets")
        for secret in value:
            check_secret(secret.get_secret_value())
        return value

    @property
    def storage_credentials(self) -> Credentials | None:
        """As whom the storage is used; None for what boto3 finds by itself."""
        if self.storage_key_id is None or self.storage_secret is None:
            return None
        return Credentials(self.storage_key_id, self.storage_secret.get_secret_value())

    @cached_property
    def issuers(self) -> Mapping[str, Issuer]:
        """Everybody whose tokens are accepted, by their ``iss``."""
        known = {issuer.issuer: issuer for issuer in self.jwt_issuers}
        if self.jwt_secret is not None:
            simple = Issuer(
                issuer=self.jwt_issuer,
                audience=self.jwt_audience,
                algorithm="HS256",
                secret=self.jwt_secret,
                operators=True,
            )
            known[simple.issuer] = simple
        return known

    @cached_property
    def base_url(self) -> str:
        """Where the API is reached, with no slash at its end."""
        return str(self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def limit_store_url(self) -> str:
        """Where requests are counted."""
        if self.limits_url is not None:
            return self.limits_url.get_secret_value()
        return store_for(self.broker_url.get_secret_value())

    @property
    def posts_are_whose_comes_first(self) -> bool:
        """Whether nothing says whose a post is, so that a stranger may take it."""
        return self.posts_table is None and self.post_claim is PostClaim.OFF

    def spend_limits(self, account: str) -> SpendLimits:  # noqa: ARG002 - all share one, so far
        """What a provider account may be given within a clock hour."""
        return SpendLimits(self.spend_assets_per_hour, self.spend_minutes_per_hour)

    def breaker_limits(self) -> BreakerLimits:
        """When new submissions wait for a provider account that does not answer."""
        return BreakerLimits(
            failures=self.breaker_failures,
            open_sec=self.breaker_open_sec,
            cap_sec=self.breaker_cap_sec,
            probe_sec=self.lease_sec,
        )


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsInvalid: Names every variable that is missing or wrong, never its value.
    """
    return read_settings(Settings)
