"""Tokens of playback that a vendor's signing key makes: JSON Web Tokens of RS256.

Nothing is called: the vendor gave us the private part of the key, and checks with the public one.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr, field_validator, model_validator

from pipeline.config.account_settings import AccountSettings


@dataclass(frozen=True)
class SigningKey:
    """A signing key of an account."""

    key_id: str
    private: RSAPrivateKey

    def token(self, subject: str, until: datetime, claims: Mapping[str, Any]) -> str:
        """Return the right to play a subject until an instant."""
        common = {"sub": subject, "exp": int(until.timestamp()), "kid": self.key_id}
        headers = {"kid": self.key_id}
        return jwt.encode({**claims, **common}, self.private, algorithm="RS256", headers=headers)


class SigningAccountSettings(AccountSettings):
    """An account whose vendor lets us sign playback with a key."""

    signing_key_id: str | None = None
    """Id of a signing key. Without one, the account takes no videos with signed playback."""
    signing_private_key: SecretStr | None = None
    """Private part of the signing key: PEM in base64, as the vendor shows it once."""

    @field_validator("signing_private_key")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _private_key(value)
        return value

    @model_validator(mode="after")
    def _signs_or_not(self) -> Self:
        if (self.signing_key_id is None) is not (self.signing_private_key is None):
            raise ValueError("SIGNING_KEY_ID and SIGNING_PRIVATE_KEY of an account go together")
        return self

    def signing_key(self) -> SigningKey | None:
        """Return the signing key; None if the account has none."""
        if self.signing_key_id is None or self.signing_private_key is None:
            return None
        return SigningKey(self.signing_key_id, _private_key(self.signing_private_key))


def _private_key(secret: SecretStr) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(base64.b64decode(secret.get_secret_value()), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("is no RSA private key in base64")  # noqa: TRY004 - pydantic's exception
    return key
