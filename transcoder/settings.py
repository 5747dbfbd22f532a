"""Settings of the transcoder, read once at the roots; all that are wrong are listed at once."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from pipeline.media.confinement import WAIVE, Layer
from pipeline.media.source_limits import DEFAULT_MAX_FRAMES, Limits
from pipeline.net.fetch import FetchPolicy
from pipeline.net.fetch_policy import allowed_ports
from pipeline.net.origin_settings import AllowedOrigins, OwnOrigins
from pipeline.net.signatures import sign
from pipeline.runtime.broker_urls import check_guarded
from pipeline.runtime.deployment import REFUSED, DeploymentFields
from pipeline.runtime.filed_settings import SettingsInvalid, read_settings
from pipeline.runtime.unsafe_settings import UNREAD, refusals
from pipeline.storage.open import open_storage
from pipeline.storage.urls import Credentials
from transcoder.encode.ladder import DEFAULT_MAX_PROFILE, short_side_of

PREFIX = "KHRONIKA_TRANSCODER_"

Read = TypeVar("Read", bound="TranscoderBeatSettings")

Port = Annotated[int, Field(ge=1, le=65535)]
_LEAST_BOUND_SEC = 3600  # the time of any download; a large one has that of its bytes


class TranscoderBeatSettings(DeploymentFields):
    """Settings of the transcoder's beat, which signs messages and runs no task."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True
    )

    broker_open: bool = Field(default=False, validation_alias="KHRONIKA_BROKER_OPEN")
    """True accepts a broker without a password, on a machine that no stranger can reach."""
    broker_url: SecretStr = Field(validation_alias="BROKER_URL")
    """Any broker that Celery supports. Others may use it too, since our keys carry a prefix."""
    token: SecretStr = Field(min_length=16)
    """Bearer token of the clients. A key that is derived from it signs task messages."""
    token_previous: SecretStr | None = Field(default=None, min_length=16)
    """The token before its last change, which is still accepted. Set during a rotation."""
    concurrency: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 4), gt=0)
    """Encodes at the same time on this machine; one ffmpeg keeps about four cores busy."""

    @field_validator("broker_url")
    @classmethod
    def _guarded(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if not info.data.get("broker_open"):
            check_guarded(value.get_secret_value())
        return value

    @property
    def tokens(self) -> tuple[str, ...]:
        """The accepted tokens, the present one first."""
        previous = self.token_previous
        present = self.token.get_secret_value()
        return (present,) if previous is None else (present, previous.get_secret_value())


class TranscoderSettings(TranscoderBeatSettings):
    """Settings of the transcoder's processes.

    A setting's environment variable is its name with the prefix, in upper case. `NAME_FILE` may
    name a file that holds a secret.
    """

    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    """Bearer token of `/metrics`, which opens nothing else. The clients' token opens it, too."""
    database_url: SecretStr
    """Login of the role `khronika_transcoder`."""
    callback_url: AnyHttpUrl
    """Receiver of every callback. A setting, so that no job can name another host."""
    callback_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(min_length=1)
    """`whsec_…`, separated by commas; the first signs, the others are for receivers to rotate."""
    storages: Annotated[dict[str, str], NoDecode] = Field(min_length=1)
    """JSON: names that a job may use, with their URLs, as {"default": "file:///srv/videos"}."""
    storage_key_id: str | None = None
    """Access key id for storages in S3; unset, boto3 searches its usual places."""
    storage_secret: SecretStr | None = Field(default=None, validate_default=True)
    """Secret of that access key."""
    scratch: Path
    """Folder of work in progress; all of it may be removed while no job runs."""
    scratch_quota_bytes: int | None = Field(default=None, gt=0)
    """Bytes that all running jobs together may use of it; unset, only the disk bounds them."""
    source_allow: AllowedOrigins = Field(default=(), validation_alias="KHRONIKA_SOURCE_ALLOW")
    """As for the worker, whose rules for a source are those of the transcoder."""
    source_http: bool = Field(default=False, validation_alias="KHRONIKA_SOURCE_HTTP")
    """As for the worker."""
    source_ports: Annotated[frozenset[Port] | Literal["any"], NoDecode] = Field(
        default=frozenset(), validation_alias="KHRONIKA_SOURCE_PORTS"
    )
    """As for the worker."""
    own_origins: OwnOrigins = frozenset()
    """Origins of our API and of our bucket, such as `https://api.example`, if they lie in a private
    network, use plain http or another port than 443. Uploads are read there. A source elsewhere
    cannot redirect to them."""
    source_min_bps: int = Field(default=256_000, ge=0)
    """Bits a second. A source that is slower on average after its first minute is given up, and
    may be tried again. One hour at this rate is 115 MB and occupies an encode slot. 0: no bound."""
    isolation_waive: Annotated[frozenset[Layer], NoDecode] = Field(
        default=frozenset(), validation_alias=WAIVE
    )
    """Layers of the isolation of ffmpeg and ffprobe that this machine may lack. A process does not
    start on a machine that lacks another one. Empty in production."""
    stall_sec: float = Field(default=120, gt=0)
    """Seconds that an encoder may produce nothing new: the slowest frames take seconds."""
    lease_sec: float = Field(default=90, gt=0)
    """Seconds that a silent worker keeps its job: more than the longest step without a renewal."""
    max_bytes: int = Field(default=5 * 1024**3, gt=0)
    """Largest source, in bytes."""
    max_duration_sec: float = Field(default=4 * 3600, gt=0)
    """Longest source, in seconds."""
    max_frames: int = Field(default=DEFAULT_MAX_FRAMES, gt=0)
    """Largest number of frames of a source, for any duration."""
    preset: str = "veryfast"
    """x264 preset, for all content. `faster` costs half as much processor time again and gains 1 to
    3 points of VMAF; docs/benchmarks.md compares them for text and film."""
    loudness_lufs: float | None = Field(default=None, ge=-70, le=-5)
    """Loudness that all sound is normalised to (EBU R128), such as -16; unset, sound keeps its
    own. It costs processor time and evens out loud and quiet passages."""
    max_profile: str = DEFAULT_MAX_PROFILE
    """Largest rendition; a job may ask for a smaller one."""

    @field_validator(
        "callback_secrets",
        "source_allow",
        "source_ports",
        "own_origins",
        "isolation_waive",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "any":
            return [part.strip() for part in value.split(",") if part.strip()]
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
        """Credentials for storages in S3; None leaves the search to boto3."""
        if self.storage_key_id is None or self.storage_secret is None:
            return None
        return Credentials(self.storage_key_id, self.storage_secret.get_secret_value())

    @property
    def limits(self) -> Limits:
        """Limits of an accepted source."""
        return Limits(
            max_bytes=self.max_bytes,
            max_duration_sec=self.max_duration_sec,
            max_frames=self.max_frames,
        )

    @property
    def fetch_policy(self) -> FetchPolicy:
        """Policy for fetching sources."""
        return FetchPolicy(
            allow=self.source_allow,
            own=self.own_origins,
            https_only=not self.source_http,
            ports=allowed_ports(self.source_ports, http=self.source_http),
            min_bps=self.source_min_bps,
            total_timeout_sec=_LEAST_BOUND_SEC,
        )


def load_settings() -> TranscoderSettings:
    """Read the environment.

    Raises:
        SettingsInvalid: Names every variable that is missing or wrong, or unsafe in production,
            never its value.
    """
    return _read(TranscoderSettings, {})


def load_beat_settings() -> TranscoderBeatSettings:
    """Read the settings of the beat.

    Raises:
        SettingsInvalid: See `load_settings`.
    """
    return _read(TranscoderBeatSettings, {})


def load_or_exit(process: type[Read] = TranscoderSettings) -> Read:  # type: ignore[assignment]
    """Read the settings of a process that serves, or end the process without a trace.

    Raises:
        SystemExit: The settings are wrong or unsafe; all problems have been printed.
    """
    try:
        return _read(process, {name: os.environ[name] for name in UNREAD if name in os.environ})
    except SettingsInvalid as error:
        sys.stderr.write(f"khronika transcoder: {error}\n")
        raise SystemExit(REFUSED) from None


def _read(process: type[Read], surroundings: Mapping[str, str]) -> Read:
    settings = read_settings(process)
    if problems := refusals([settings], settings, surroundings):
        raise SettingsInvalid(problems)
    return settings
