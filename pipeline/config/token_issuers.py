"""Who may issue tokens, as configured: how each one's are verified and what they may carry."""

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
"""One for each issuer, and never the token's own choice (RFC 8725, 3.1)."""

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

    An issuer whose tokens owners bring has an audience. One without issues operators' tokens only,
    such as Supabase's own ``service_role`` key, which names no audience and no subject.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    issuer: Annotated[str, Field(min_length=1, max_length=2048)]
    """What its tokens say in ``iss``, to the letter."""
    audience: Annotated[str, Field(min_length=1)] | None = None
    """What owners' tokens must say in ``aud``."""
    algorithm: Algorithm
    secret: Annotated[SecretStr | None, AfterValidator(check_length)] = None
    """The key of HS256."""
    jwks_url: AnyHttpUrl | None = None
    """Where the public keys of every other algorithm are published (RFC 7517)."""
    operators: bool = False
    """Whether its tokens may carry ``service_role`` and ``operator_read``."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        is_symmetric = self.algorithm == "HS256"
        if (self.secret is not None, self.jwks_url is not None) != (is_symmetric, not is_symmetric):
            raise ValueError("HS256 needs a secret and no jwks_url, any other a jwks_url alone")
        if self.audience is None and not self.operators:
            raise ValueError("without an audience it can only issue operators' tokens")
        return self

    @property
    def is_plain_http(self) -> bool:
        """Whether its keys come over plain http."""
        return self.jwks_url is not None and self.jwks_url.scheme == "http"

    @property
    def is_on_this_machine(self) -> bool:
        """Whether its keys are published at a loopback address."""
        host = (self.jwks_url.host or "") if self.jwks_url else ""
        try:
            return ip_address(host.strip("[]")).is_loopback
        except ValueError:
            return host == "localhost"
