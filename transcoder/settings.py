"""The transcoder's settings: read once at the roots, wrong ones reported all at once."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from pipeline.media.limits import DEFAULT_MAX_FRAMES, Limits
from pipeline.net.brokers import check_guarded
from pipeline.net.fetch import FetchPolicy
from pipeline.net.filed_settings import FiledSettings
from pipeline.net.policy import allowed_ports
from pipeline.net.signatures import sign
from pipeline.storage.open import open_storage
from pipeline.storage.places import Credentials
from transcoder.encode.ladder import DEFAULT_MAX_PROFILE, short_side_of

PREFIX = "KHRONIKA_TRANSCODER_"

Port = Annotated[int, Field(ge=1, le=65535)]
_DOWNLOAD_TIMEOUT_SEC = 3600  # 5 GiB at 12 Mbit/s; a trickle slower than that is no source


class SettingsInvalid(Exception):
    """One or more variables are missing or wrong; the message names each."""


class TranscoderSettings(FiledSettings):
    """Every setting is the environment variable of its name with the prefix, in upper case.

    Each secret may come in a file that `NAME_FILE` names.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True
    )

    database_url: SecretStr
    """Login of the role `khronika_transcoder`."""
    broker_open: bool = Field(default=False, validation_alias="KHRONIKA_BROKER_OPEN")
    """Whether a broker without a password will do, where nobody else can reach it."""
    broker_url: SecretStr = Field(validation_alias="BROKER_URL")
    """Any broker Celery knows; shared with others, since our keys carry a prefix."""
    token: SecretStr = Field(min_length=16)
    """What clients send as a bearer token."""
    callback_url: AnyHttpUrl
    """Where every callback goes. A setting, so that no job can aim us at a host of its choice."""
    callback_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(min_length=1)
    """`whsec_…`, separated by commas; the first signs, the others are for receivers to rotate."""
    storages: Annotated[dict[str, str], NoDecode] = Field(min_length=1)
    """JSON: the name a job may use, and the storage's URL, as {"default": "file:///srv/videos"}."""
    storage_key_id: str | None = None
    """As whom storages in S3 are used; unset, boto3 looks where it always does."""
    storage_secret: SecretStr | None = Field(default=None, validate_default=True)
    scratch: Path
    """Folder of work in progress; everything in it may be removed when nothing runs."""
    scratch_quota_bytes: int | None = Field(default=None, gt=0)
    """What all running jobs together may take of it; unset, only the disk bounds them."""
    source_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks that sources may come from although they are private, separated by commas. Where
    any is listed, sources may also be plain http, as such networks usually are."""
    source_ports: Annotated[frozenset[Port] | Literal["any"], NoDecode] = frozenset()
    """Ports of sources, separated by commas, or `any`. Empty: 443, and 80 where plain http is
    accepted. Whoever gives us jobs from its own storage names the port of its API here."""
    source_min_bps: int = Field(default=256_000, ge=0)
    """Bits a second; a source that has sent fewer on average, a minute in, is given up, and may be
    tried again. An hour of it is 115 MB, and holds an encode's place. 0: any rate will do."""
    stall_sec: float = Field(default=120, gt=0)
    """How long an encoder may produce nothing new: the slowest frames take seconds, not minutes."""
    lease_sec: float = Field(default=90, gt=0)
    """How long a silent worker keeps its job: above the longest step that renews nothing."""
    max_bytes: int = Field(default=5 * 1024**3, gt=0)
    """The largest source, in bytes."""
    max_duration_sec: float = Field(default=4 * 3600, gt=0)
    """The longest source."""
    max_frames: int = Field(default=DEFAULT_MAX_FRAMES, gt=0)
    """The most frames of a source, whatever its length."""
    preset: str = "veryfast"
    """x264 preset; slower ones make smaller files for more processor time."""
    max_profile: str = DEFAULT_MAX_PROFILE
    """The largest rendition, unless the job asks for less."""
    concurrency: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 4), gt=0)
    """Encodes at once on this machine; one ffmpeg keeps about four cores busy."""

    @field_validator("callback_secrets", "source_allow", "source_ports", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "any":
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("broker_url")
    @classmethod
    def _guarded(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if not info.data.get("broker_open"):
            check_guarded(value.get_secret_value())
        return value

    @field_validator("callback_secrets")
    @classmethod
    def _can_sign(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in value:
            sign(secret.get_secret_value(), "trial", datetime.now(UTC), b"")
        return value

    @field_validator("storages", mode="before")
    @classmethod
    def _parse_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("is not a JSON object") from None

    @field_validator("storages")
    @classmethod
    def _can_be_opened(cls, value: dict[str, str]) -> dict[str, str]:
        for name, url in value.items():
            try:
                open_storage(url)
            except (ValueError, OSError) as error:
                raise ValueError(f"{name}: {error}") from error
        return value

    @field_validator("storage_secret")
    @classmethod
    def _both_or_neither(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if (value is None) != (info.data.get("storage_key_id") is None):
            raise ValueError(f"goes with {PREFIX}STORAGE_KEY_ID: set both or neither")
        return value

    @field_validator("max_profile")
    @classmethod
    def _known_profile(cls, value: str) -> str:
        short_side_of(value)
        return value

    @property
    def storage_credentials(self) -> Credentials | None:
        """As whom storages in S3 are used; None for what boto3 finds by itself."""
        if self.storage_key_id is None or self.storage_secret is None:
            return None
        return Credentials(self.storage_key_id, self.storage_secret.get_secret_value())

    @property
    def limits(self) -> Limits:
        """The largest source accepted."""
        return Limits(
            max_bytes=self.max_bytes,
            max_duration_sec=self.max_duration_sec,
            max_frames=self.max_frames,
        )

    @property
    def fetch_policy(self) -> FetchPolicy:
        """Which sources may be fetched, and how long that may take."""
        return FetchPolicy(
            allow=self.source_allow,
            https_only=not self.source_allow,
            ports=allowed_ports(self.source_ports, http=bool(self.source_allow)),
            min_bps=self.source_min_bps,
            total_timeout_sec=_DOWNLOAD_TIMEOUT_SEC,
        )


def load_settings() -> TranscoderSettings:
    """Read the environment.

    Raises:
        SettingsInvalid: Names every variable that is missing or wrong, never its value.
    """
    try:
        return TranscoderSettings()
    except ValidationError as error:
        lines = [f"  {_variable(problem)}: {problem['msg']}" for problem in error.errors()]
        raise SettingsInvalid("\n".join(["The settings are wrong:", *lines])) from None


def _variable(problem: Mapping[str, Any]) -> str:
    name = str(problem["loc"][0])
    return name if name.isupper() else PREFIX + name.upper()
