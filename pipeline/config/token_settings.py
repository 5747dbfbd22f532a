"""Settings of the tokens that the API accepts."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import NoDecode

from pipeline.config.groups import SettingsGroup
from pipeline.config.token_issuers import Issuer, check_length


class TokenSettings(SettingsGroup):
    """Issuers of tokens, and the keeping of their published keys."""

    jwt_issuers: Annotated[tuple[Issuer, ...], NoDecode] = ()
    """Issuers whose tokens are accepted, as a JSON list of
    ``pipeline.config.token_issuers.Issuer``."""
    jwt_secret: SecretStr | None = Field(None, validate_default=True)
    """HS256 key of one more issuer, whose tokens may be operators'; at least 32 bytes (RFC 7518,
    3.2). Needed where ``KHRONIKA_JWT_ISSUERS`` lists no issuer."""
    jwt_secret_previous: SecretStr | None = None
    """The value of ``KHRONIKA_JWT_SECRET`` before its last change: tokens that it signed are still
    accepted. Set during a rotation, for as long as the longest token lives."""
    jwt_issuer: str = Field("khronika", min_length=1)
    """That issuer's ``iss``."""
    jwt_audience: str = Field("authenticated", min_length=1)
    """Its ``aud``; Supabase's tokens carry this one."""
    jwks_life_sec: float = Field(600.0, gt=0)
    """Age at which published keys are fetched anew: the longest, in seconds, that a key which its
    issuer has withdrawn goes on verifying."""
    jwks_cooldown_sec: float = Field(10.0, gt=0)
    """Least seconds between two requests for an issuer's keys, for any number of tokens."""
    jwks_stale_sec: float = Field(24 * 3600.0, gt=0)
    """Seconds that keys go on verifying while their issuer does not answer."""
    jwks_loopback: bool = Field(False, validate_default=True)
    """True accepts keys over plain http from this machine; for development."""

    _checked_length = field_validator("jwt_secret", "jwt_secret_previous")(check_length)

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
    def _has_issuer(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # Wrong issuers are reported by themselves; it is then unknown if this one is missing.
        if value is None and info.data.get("jwt_issuers") == ():
            raise ValueError("is missing, and KHRONIKA_JWT_ISSUERS names no other issuer")
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

    @cached_property
    def issuers(self) -> Mapping[str, Issuer]:
        """Every issuer whose tokens are accepted, by its ``iss``."""
        known = {issuer.issuer: issuer for issuer in self.jwt_issuers}
        if self.jwt_secret is not None:
            simple = Issuer(
                issuer=self.jwt_issuer,
                audience=self.jwt_audience,
                algorithm="HS256",
                secret=self.jwt_secret,
                secret_previous=self.jwt_secret_previous,
                operators=True,
            )
            known[simple.issuer] = simple
        return known
