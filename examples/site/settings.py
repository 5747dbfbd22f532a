"""The settings of the site: its own variables, ``KHRONIKA_SITE_…``."""

import ipaddress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SiteSettings(BaseSettings):
    """The settings of one site.

    Attributes:
        env: The kind of deployment, of the API too. The site is for ``development`` alone.
        url: The address that visitors open. It names this machine, because a visitor may be any
            user.
        api_url: The public address of the API, for the browsers of the visitors.
        jwt_secret: The HS256 key that the API verifies visitors' tokens with; at least 32 bytes
            (RFC 7518, 3.2).
        jwt_issuer: The ``iss`` of the tokens.
        jwt_audience: The ``aud`` of the tokens.
        posts: The file of the site's posts.
        bucket_url: The address of the API's bucket, if it has one: parts of uploads go there
            directly, pictures and segments come from there.
        source_max_bytes: The largest file that the composer takes. This and the next two repeat
            the API's settings of the same names, with their defaults.
        source_max_duration_sec: The longest video that the composer takes.
        upload_expires_sec: The life of an upload; a new post may get its video within it.
    """

    model_config = SettingsConfigDict(
        env_prefix="KHRONIKA_SITE_", env_ignore_empty=True, frozen=True
    )

    env: str = Field(validation_alias="KHRONIKA_ENV")
    url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8081")
    api_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    jwt_secret: SecretStr = Field(min_length=32)
    jwt_issuer: str = "khronika"
    jwt_audience: str = "authenticated"
    posts: Path = Path(".khronika/site-posts.json")
    bucket_url: AnyHttpUrl | None = None
    source_max_bytes: int = 5 * 1024**3
    source_max_duration_sec: float = 4 * 3600
    upload_expires_sec: int = 24 * 3600

    @field_validator("env")
    @classmethod
    def _is_development(cls, value: str) -> str:
        if value != "development":
            raise ValueError("must be development: a visitor of the site may be any user")
        return value

    @field_validator("url")
    @classmethod
    def _names_this_machine(cls, value: AnyHttpUrl) -> AnyHttpUrl:
        if not is_loopback(value.host):
            raise ValueError("must name this machine: a visitor of the site may be any user")
        return value

    @property
    def origin(self) -> str:
        """The origin of the site's pages."""
        return origin_of(self.url)

    @property
    def api_base(self) -> str:
        """The address that paths of the API are appended to."""
        return str(self.api_url).rstrip("/")

    @property
    def foreign_origins(self) -> list[str]:
        """The origins that pages load from and send to: the API, and a bucket."""
        return [origin_of(url) for url in (self.api_url, self.bucket_url) if url]

    @property
    def upload_life(self) -> timedelta:
        """The life of an upload."""
        return timedelta(seconds=self.upload_expires_sec)


def is_loopback(host: str | None) -> bool:
    """Return True for a loopback name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address((host or "").strip("[]")).is_loopback
    except ValueError:
        return False


def origin_of(url: AnyHttpUrl) -> str:
    """Return the scheme, host and port of an address."""
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc}"
