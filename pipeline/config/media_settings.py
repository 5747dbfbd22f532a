"""Settings of videos: accepted sources, uploads, and the URLs under which media are served."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from pipeline.config.comma_lists import split_set, split_tuple
from pipeline.config.groups import SettingsGroup
from pipeline.config.task_names import MESSAGE_PURPOSE
from pipeline.config.token_issuers import check_length
from pipeline.media.confinement import WAIVE, Layer
from pipeline.media.source_limits import DEFAULT_MAX_FRAMES, Limits
from pipeline.net.fetch_policy import FetchPolicy, allowed_ports
from pipeline.net.origin_settings import AllowedOrigins
from pipeline.runtime.message_signatures import derive_key

MIB = 1024**2
GIB = 1024**3

Port = Annotated[int, Field(ge=1, le=65535)]


class MediaUrlSettings(SettingsGroup):
    """The API's own address, and the key and life of the URLs that it signs."""

    port: int = Field(8080, validation_alias="PORT", ge=1, le=65535)
    """Port that the API listens on."""
    public_url: AnyHttpUrl | None = None
    """The API's address for clients; URLs of outputs begin with it. It may have a path, below
    which a proxy publishes the API. Unset: the port of this machine."""
    secret_key: SecretStr
    """Key that signs URLs of media, upload and stream tickets, the console's sessions and task
    messages, and that seals callback secrets; at least 32 bytes."""
    secret_key_previous: SecretStr | None = None
    """The value of ``KHRONIKA_SECRET_KEY`` before its last change: it signs nothing, and what it
    has signed or sealed is still accepted. Set during a rotation, in every process."""
    token_expires_sec: int = Field(24 * 3600, ge=60)
    """Seconds that a provider may fetch a source through its signed URL."""
    playback_expires_sec: int = Field(6 * 3600, ge=60)
    """Seconds that a viewer's signed URLs work, at the least: longer than the longest video
    (``KHRONIKA_SOURCE_MAX_DURATION_SEC``) and a pause in it."""
    presigned_expires_sec: int = Field(900, ge=10, le=7 * 24 * 3600)
    """Seconds that an address of an object in S3 works. Nothing revokes one; it ends by itself, or
    with its object, which a deletion removes within seconds. Longer than the download of a segment;
    a player that seeks in an MP4 later asks again."""
    original_playback: bool = False
    """True lets a source stand in for a video that failed, if its owner allows it too."""

    _checked_length = field_validator("secret_key", "secret_key_previous")(check_length)

    @cached_property
    def base_url(self) -> str:
        """The API's address, with no slash at its end."""
        return str(self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def key(self) -> str:
        """The secret key itself."""
        return self.secret_key.get_secret_value()

    @property
    def accepted_keys(self) -> tuple[str, ...]:
        """The keys whose signatures are accepted: the secret key, and the previous one if any."""
        previous = self.secret_key_previous
        return (self.key,) if previous is None else (self.key, previous.get_secret_value())

    @property
    def message_key(self) -> str:
        """Key of task messages, derived from the secret key."""
        return derive_key(self.key, MESSAGE_PURPOSE)

    @property
    def message_keys(self) -> tuple[str, ...]:
        """Keys of task messages that are accepted."""
        return tuple(derive_key(key, MESSAGE_PURPOSE) for key in self.accepted_keys)


class SourceSettings(SettingsGroup):
    """Sources that are accepted, and the addresses that they may be fetched from."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_SOURCE_")

    allow: AllowedOrigins = ()
    """Origins, such as ``http://media.internal:8080``, that sources and a provider's outputs may be
    fetched from although they are not public. The port may be ``*``. No source elsewhere can
    redirect to them. Empty in production."""
    http: bool = False
    """True accepts plain http for sources and for a provider's outputs; for development."""
    ports: Annotated[frozenset[Port] | Literal["any"], NoDecode] = frozenset()
    """Ports that either may be fetched from, or ``any``. Empty: 443, and 80 where plain http is
    accepted. Any other port rarely serves videos, and often a service that is no source."""
    max_bytes: int = Field(5 * GIB, ge=1)
    """Largest source, in bytes."""
    max_duration_sec: float = Field(4 * 3600, gt=0)
    """Longest source, in seconds."""
    min_bps: int = Field(256_000, ge=8000)
    """Bits a second. A source that is slower on average after its first minute is given up, and
    may be tried again, as the transcoder does. One that sends nothing for 15 s is given up at
    once. A source may take as long as its bytes need at this rate: its lease is renewed while they
    arrive. A file whose server answers no ``Range`` is read whole, unless its index is in front."""
    max_slow: int = Field(2, ge=0)
    """Sources that may be read for longer than a minute at once, over all submitters: fewer than
    their processes (``KHRONIKA_SUBMIT_PROCESSES``), so that slow origins never stop the videos of
    quick ones. Another slow source waits and is tried again."""
    max_frames: int = Field(DEFAULT_MAX_FRAMES, ge=1)
    """Largest number of frames of a source, for any duration: the longest at 120 a second."""

    isolation_waive: Annotated[frozenset[Layer], NoDecode] = Field(
        frozenset(), validation_alias=WAIVE
    )
    """Layers of the isolation of ffmpeg and ffprobe that this machine may lack. A process does not
    start on a machine that lacks another one. Empty in production."""

    _split_origins = field_validator("allow", mode="before")(split_tuple)
    _split_sets = field_validator("ports", "isolation_waive", mode="before")(split_set)

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
        """Policy for addresses that users name."""
        return FetchPolicy(
            allow=self.allow,
            https_only=not self.http,
            ports=allowed_ports(self.ports, http=self.http),
            min_bps=self.min_bps,
        )


class UploadSettings(SettingsGroup):
    """Direct uploads."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_UPLOAD_")

    expires_sec: int = Field(24 * 3600, ge=60)
    """Seconds that an upload ticket lives."""
    part_bytes: int = Field(8 * MIB, ge=5 * MIB, le=GIB)
    """Bytes of a part; very large files have larger parts. S3 takes no less than 5 MiB. A lost
    connection costs one part at most."""
