"""Settings of the CDN in front of the media routes, if there is one."""

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from pipeline.config.groups import SettingsGroup
from pipeline.net.signatures import check_secret

ASSET_PLACE = "{asset_id}"


class CdnSettings(SettingsGroup):
    """The address to which a purge is sent when a video is withdrawn or replaced."""

    model_config = SettingsConfigDict(env_prefix="KHRONIKA_CDN_")

    purge_url: str | None = None
    """Address of the CDN's purge, or of your own function before it; ``{asset_id}`` in it is
    replaced. Unset: no CDN keeps copies."""
    purge_token: SecretStr | None = None
    """Bearer token of that address."""
    purge_secret: SecretStr | None = None
    """Secret that signs a purge as Standard Webhooks describes, ``whsec_`` and base64."""
    purge_timeout_sec: float = Field(10.0, gt=0, le=60)
    """Longest call, in seconds."""

    @field_validator("purge_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("is no address of http or https")
        return value

    @field_validator("purge_secret")
    @classmethod
    def _is_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_secret(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _is_authorised(self) -> Self:
        if self.purge_url is not None and self.purge_token is None and self.purge_secret is None:
            raise ValueError(
                "KHRONIKA_CDN_PURGE_URL needs KHRONIKA_CDN_PURGE_TOKEN or KHRONIKA_CDN_PURGE_SECRET"
            )
        return self
