"""Verification of tokens: the issuer determines algorithm and keys, never the token.

Only ``iss`` is read from an unverified token, to find its issuer among the configured ones.
Algorithm and keys are the issuer's. ``alg`` must agree; key addresses in a header (``jku``,
``jwk``, ``x5u``, ``x5c``) are ignored (RFC 8725, 3.1, 3.8 and 3.10).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import jwt

from api.documents.schemas import UNSTORABLE
from api.identity.jwks import KeyClient, KeySet, Patience
from pipeline.config.token_issuers import Issuer
from pipeline.config.token_settings import TokenSettings
from pipeline.runtime.ids import read_id

LEEWAY_SEC = 30
"""The accepted difference between the clocks of issuer and API."""

MAX_TOKEN_CHARS = 8192
"""More than a web server accepts in one header line; tokens with many claims have 2000."""

MAX_SUBJECT_CHARS = 128
"""The longest ``owner_id``."""


class Role(StrEnum):
    """The rights of a token's bearer."""

    OWNER = "owner"
    """Any token without one of the roles below: sees and changes its subject's own assets."""
    OPERATOR = "service_role"
    """Sees everything, changes anything, registers videos for any owner."""
    READER = "operator_read"
    """Sees everything, changes nothing."""


class TokenInvalid(Exception):
    """The token is not verified. The API does not reveal the reason."""


class TokenExpired(Exception):
    """The token is verified and has expired."""


class RoleNotTrusted(Exception):
    """A verified token claims a role that its issuer is not configured to grant."""


@dataclass(frozen=True)
class Identity:
    """The claims of a verified token.

    Attributes:
        posts: The posts in the claim ``post_id``, if owners' tokens must name theirs.
    """

    subject: str
    role: Role
    posts: frozenset[UUID]


class Verifier:
    """The verifier of the tokens of every configured issuer."""

    def __init__(self, issuers: Mapping[str, Issuer], patience: Patience) -> None:
        """Configure the issuers; their keys are requested when a token first needs them."""
        self._issuers = issuers
        self._key_sets = {
            name: KeySet(KeyClient(str(issuer.jwks_url)), issuer.algorithm, patience)
            for name, issuer in issuers.items()
            if issuer.jwks_url is not None
        }

    def verify(self, token: str) -> Identity:
        """Return the identity of a verified token.

        Raises:
            TokenExpired: The token has expired and is valid otherwise.
            TokenInvalid: The token is not valid.
            RoleNotTrusted: The token claims an operator's role, and its issuer may not grant it.
            KeysUnavailable: The issuer does not answer.
        """
        if len(token) > MAX_TOKEN_CHARS:
            raise TokenInvalid
        try:
            issuer = self._issuer_of(token)
            claims = self._verified(token, issuer)
        except jwt.ExpiredSignatureError:
            raise TokenExpired from None
        except (jwt.PyJWTError, ValueError):
            raise TokenInvalid from None
        return _identity(claims, issuer)

    def _issuer_of(self, token: str) -> Issuer:
        unverified = jwt.decode(token, options={"verify_signature": False})
        name = unverified.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise TokenInvalid
        return issuer

    def _verified(self, token: str, issuer: Issuer) -> dict[str, Any]:
        """Return the claims of a token that the issuer's present or previous key signed."""
        try:
            return _decoded(token, self._key(token, issuer), issuer)
        except jwt.InvalidSignatureError:
            if issuer.secret_previous is None:
                raise
            return _decoded(token, issuer.secret_previous.get_secret_value(), issuer)

    def _key(self, token: str, issuer: Issuer) -> str | jwt.PyJWK:
        if issuer.secret is not None:
            return issuer.secret.get_secret_value()
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._key_sets[issuer.issuer].key(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenInvalid
        return key


def _decoded(token: str, key: str | jwt.PyJWK, issuer: Issuer) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=[issuer.algorithm],
        issuer=issuer.issuer,
        leeway=LEEWAY_SEC,
        # The audience depends on the role, which is a verified claim: it is checked later.
        options={
            "require": ["exp", "iss"],
            "verify_aud": False,
            "enforce_minimum_key_length": True,
        },
    )


def verifier_of(settings: TokenSettings) -> Verifier:
    """Return the verifier of the configured issuers."""
    patience = Patience(
        life_sec=settings.jwks_life_sec,
        cooldown_sec=settings.jwks_cooldown_sec,
        stale_sec=settings.jwks_stale_sec,
    )
    return Verifier(settings.issuers, patience)


def _identity(claims: Mapping[str, Any], issuer: Issuer) -> Identity:
    role = _role(claims)
    if role is Role.OWNER:
        _require_audience(claims, issuer)
        return Identity(_subject(claims.get("sub")), role, _posts(claims.get("post_id")))
    if not issuer.operators:
        raise RoleNotTrusted
    if "aud" in claims:
        _require_audience(claims, issuer)
    # Supabase's service tokens have no subject.
    return Identity(_subject(claims.get("sub") or role.value), role, frozenset())


def _role(claims: Mapping[str, Any]) -> Role:
    role = claims.get("role")
    return Role(role) if role in (Role.OPERATOR, Role.READER) else Role.OWNER


def _require_audience(claims: Mapping[str, Any], issuer: Issuer) -> None:
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    # An issuer without an audience has no owners: none of its tokens has a valid audience.
    if issuer.audience is None or not isinstance(audiences, list):
        raise TokenInvalid
    if issuer.audience not in audiences:
        raise TokenInvalid


def _subject(claim: Any) -> str:
    if not isinstance(claim, str) or not 0 < len(claim) <= MAX_SUBJECT_CHARS:
        raise TokenInvalid
    if UNSTORABLE.search(claim):
        raise TokenInvalid
    return claim


def _posts(claim: Any) -> frozenset[UUID]:
    """Return the posts of a claim; entries that are no UUID are ignored."""
    entries = claim if isinstance(claim, list) else [claim]
    return frozenset(post for entry in entries if (post := _uuid(entry)) is not None)


def _uuid(text: Any) -> UUID | None:
    try:
        return read_id(text) if isinstance(text, str) else None
    except ValueError:
        return None
