"""Configured issuers of tokens, with their keys and rights."""

from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]
"""Algorithm of an issuer; the token's own choice is ignored (RFC 8725, 3.1)."""

MIN_SECRET_BYTES = 32
"""RFC 7518, 3.2: an HMAC key is at least as long as its digest."""


def check_length(secret: SecretStr | None) -> SecretStr | None:
    """Return the secret if HMAC with SHA-256 may use it.

    Raises:
        ValueError: It is too short.
    """
    if secret is not None and len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes")
    return secret


class Issuer(BaseModel):
    """One issuer of tokens.

    An issuer of owners' tokens has an audience. An issuer without one issues operators' tokens
    only, such as Supabase's own ``service_role`` key, which has no audience and no subject.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    issuer: Annotated[str, Field(min_length=1, max_length=2048)]
    """Exact ``iss`` of its tokens."""
    audience: Annotated[str, Field(min_length=1)] | None = None
    """Required ``aud`` of owners' tokens."""
    algorithm: Algorithm
    secret: Annotated[SecretStr | None, AfterValidator(check_length)] = None
    """The key of HS256."""
    secret_previous: Annotated[SecretStr | None, AfterValidator(check_length)] = None
    """The key of HS256 before its last change, which is still accepted."""
    jwks_url: AnyHttpUrl | None = None
    """Address of the public keys of the other algorithms (RFC 7517)."""
    operators: bool = False
    """True lets its tokens have the roles ``service_role`` and ``operator_read``."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_symmetric = self.algorithm == "HS256"
        if (self.secret is not None, self.jwks_url is not None) != (is_symmetric, not is_symmetric):
            raise ValueError("HS256 needs a secret and no jwks_url, any other a jwks_url alone")
        if self.secret_previous is not None and not is_symmetric:
            raise ValueError("only HS256 has a previous secret")
        if self.audience is None and not self.operators:
            raise ValueError("without an audience it can only issue operators' tokens")
        return self

    @property
    def is_plain_http(self) -> bool:
        """True if its keys come over plain http."""
        return self.jwks_url is not None and self.jwks_url.scheme == "http"

    @property
    def is_on_this_machine(self) -> bool:
        """True if its keys are published at a loopback address."""
        host = (self.jwks_url.host or "") if self.jwks_url else ""
        try:
            return ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return host == "localhost"
