"""Which tokens are believed: the verifier is chosen by the issuer, never by the token.

Of a token that is not verified yet only ``iss`` is read, to find its issuer among those that are
configured. Algorithm and keys are that issuer's; ``alg`` must agree, and what else a header names
(``jku``, ``jwk``, ``x5u``, ``x5c``) is not looked at (RFC 8725, 3.1, 3.8 and 3.10).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import jwt

from api.documents.schemas import UNSTORABLE
from api.identity.jwks import KeySet, Patience, fetching
from pipeline.config.settings import Settings
from pipeline.config.token_issuers import Issuer

LEEWAY_SEC = 30
"""Clocks of issuer and API may differ by this much."""

MAX_TOKEN_CHARS = 8192
"""More than a web server takes in one header line; tokens with many claims have 2000."""

MAX_SUBJECT_CHARS = 128
"""As long as ``owner_id`` may be."""


class Role(StrEnum):
    """What a token lets its bearer be."""

    OWNER = "owner"
    """Any token without one of the roles below: sees and changes its subject's own assets."""
    OPERATOR = "service_role"
    """Sees everything, changes anything, registers videos for any owner."""
    READER = "operator_read"
    """Sees everything, changes nothing."""


class TokenInvalid(Exception):
    """Not a token we believe. Why is for nobody but the issuer's developer."""


class TokenExpired(Exception):
    """It was one, until its time was up."""


class RoleNotTrusted(Exception):
    """A verified token claims a role that its issuer is not configured to give."""


@dataclass(frozen=True)
class Identity:
    """What a verified token says of its bearer.

    Attributes:
        posts: The posts that it names in ``post_id``, where an owner's token must.
    """

    subject: str
    role: Role
    posts: frozenset[UUID]


class Verifier:
    """Verifies the tokens of every configured issuer."""

    def __init__(self, issuers: Mapping[str, Issuer], patience: Patience) -> None:
        """Ask nobody for keys yet: they are fetched when a token first needs them."""
        self._issuers = issuers
        self._key_sets = {
            name: KeySet(fetching(str(issuer.jwks_url)), issuer.algorithm, patience)
            for name, issuer in issuers.items()
            if issuer.jwks_url is not None
        }

    def verify(self, token: str) -> Identity:
        """Whom the token speaks for.

        Raises:
            TokenExpired: its time is up, and nothing else is wrong with it.
            TokenInvalid: anything else is.
            RoleNotTrusted: it is an operator's, of an issuer that has none.
            KeysUnavailable: its issuer does not answer.
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
        named = unverified.get("iss")
        issuer = self._issuers.get(named) if isinstance(named, str) else None
        if issuer is None:
            raise TokenInvalid
        return issuer

    def _verified(self, token: str, issuer: Issuer) -> dict[str, Any]:
        return jwt.decode(
            token,
            self._key(token, issuer),
            algorithms=[issuer.algorithm],
            issuer=issuer.issuer,
            leeway=LEEWAY_SEC,
            # The audience depends on the role, and so on claims that are verified first.
            options={
                "require": ["exp", "iss"],
                "verify_aud": False,
                "enforce_minimum_key_length": True,
            },
        )

    def _key(self, token: str, issuer: Issuer) -> str | jwt.PyJWK:
        if issuer.secret is not None:
            return issuer.secret.get_secret_value()
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._key_sets[issuer.issuer].key(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenInvalid
        return key


def verifier_of(settings: Settings) -> Verifier:
    """The verifier of the configured issuers."""
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
    named = claims.get("role")
    return Role(named) if named in (Role.OPERATOR, Role.READER) else Role.OWNER


def _require_audience(claims: Mapping[str, Any], issuer: Issuer) -> None:
    named = claims.get("aud")
    audiences = [named] if isinstance(named, str) else named
    # An issuer without an audience has no owners, and no token of its names anybody.
    if issuer.audience is None or not isinstance(audiences, list):
        raise TokenInvalid
    if issuer.audience not in audiences:
        raise TokenInvalid


def _subject(named: Any) -> str:
    if not isinstance(named, str) or not 0 < len(named) <= MAX_SUBJECT_CHARS:
        raise TokenInvalid
    if UNSTORABLE.search(named):
        raise TokenInvalid
    return named


def _posts(named: Any) -> frozenset[UUID]:
    """The posts of a claim; what is no post's id names none, and is no reason to refuse."""
    entries = named if isinstance(named, list) else [named]
    return frozenset(post for entry in entries if (post := _uuid(entry)) is not None)


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
