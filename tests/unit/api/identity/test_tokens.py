import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from pydantic import SecretStr, ValidationError

from api.identity.jwks import KeysUnavailable, Patience
from api.identity.tokens import (
    MAX_TOKEN_CHARS,
    Identity,
    Role,
    RoleNotTrusted,
    TokenExpired,
    TokenInvalid,
    Verifier,
)
from pipeline.config.token_issuers import Algorithm, Issuer
from tests.key_publisher import (
    AUDIENCE,
    Publisher,
    claims,
    private_key,
    public_jwk,
    public_pem,
    publishing,
    signed,
)

PATIENCE = Patience(life_sec=600, cooldown_sec=600, stale_sec=3600)
SITE = "https://site.example/auth"
SUPABASE = "supabase"
SECRET = "k" * 40
FAMILIES: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA")


@pytest.fixture(scope="module")
def publishers() -> Iterator[Mapping[str, Publisher]]:
    """One issuer for each family."""
    with (
        publishing(public_jwk("RS256", "one")) as rsa,
        publishing(public_jwk("ES256", "one")) as ec,
        publishing(public_jwk("EdDSA", "one")) as ed,
    ):
        yield {"RS256": rsa, "ES256": ec, "EdDSA": ed}


@pytest.fixture
def verifier(publishers: Mapping[str, Publisher]) -> Verifier:
    issuers = [
        *(
            Issuer.model_validate(
                {
                    "issuer": f"{SITE}/{family}",
                    "audience": AUDIENCE,
                    "algorithm": family,
                    "jwks_url": publishers[family].url,
                    "operators": family == "ES256",
                }
            )
            for family in FAMILIES
        ),
        Issuer(issuer=SUPABASE, algorithm="HS256", secret=SecretStr(SECRET), operators=True),
        Issuer(issuer="site", algorithm="HS256", secret=SecretStr(SECRET), audience=AUDIENCE),
    ]
    return Verifier({issuer.issuer: issuer for issuer in issuers}, PATIENCE)


def of(family: str, **changed: Any) -> dict[str, Any]:
    return claims(f"{SITE}/{family}", **changed)


def by_hand(header: dict[str, Any], said: Any, sign: bytes | None) -> str:
    """A token that no library would make: any header, HMAC under any bytes, or no signature."""
    parts = [
        urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode())
        .rstrip(b"=")
        .decode()
        for part in (header, said)
    ]
    digest = b"" if sign is None else hmac.digest(sign, ".".join(parts).encode(), sha256)
    return ".".join([*parts, urlsafe_b64encode(digest).rstrip(b"=").decode()])


@pytest.mark.parametrize("family", FAMILIES)
def test_an_owners_token_is_believed_by_its_issuers_published_key(
    verifier: Verifier, family: str
) -> None:
    owner = verifier.verify(signed(of(family), family))
    assert owner == Identity("ana", Role.OWNER, frozenset())


def test_supabases_own_service_key_works_as_it_is(verifier: Verifier) -> None:
    said = {"iss": SUPABASE, "ref": "abc", "role": "service_role", "iat": 1, "exp": 2**33}
    token = jwt.encode(said, SECRET, algorithm="HS256")
    assert verifier.verify(token) == Identity("service_role", Role.OPERATOR, frozenset())


def test_supabases_anonymous_key_is_nobodys(verifier: Verifier) -> None:
    said = {"iss": SUPABASE, "ref": "abc", "role": "anon", "exp": 2**33}
    with pytest.raises(TokenInvalid):
        verifier.verify(jwt.encode(said, SECRET, algorithm="HS256"))


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.READER])
def test_a_role_is_refused_and_not_lowered_where_its_issuer_makes_no_operators(
    verifier: Verifier, role: Role
) -> None:
    assert verifier.verify(signed(of("ES256", role=role.value), "ES256")).role is role
    with pytest.raises(RoleNotTrusted):
        verifier.verify(signed(of("RS256", role=role.value), "RS256"))


def test_the_posts_of_a_claim_are_read_and_anything_else_in_it_names_none(
    verifier: Verifier,
) -> None:
    one, two = uuid4(), uuid4()
    for said, posts in (
        (str(one), {one}),
        ([str(one), str(two).upper(), "7", None, 7], {one, two}),
        ({"id": str(one)}, set()),
        ("everything", set()),
        (None, set()),
    ):
        identity = verifier.verify(signed(of("EdDSA", post_id=said), "EdDSA"))
        assert identity.posts == posts


RS = of("RS256")
FORGED: dict[str, str] = {
    "HMAC under the public key's PEM": by_hand(
        {"alg": "HS256", "kid": "one"}, RS, public_pem("RS256")
    ),
    "HMAC under the published JWK": by_hand(
        {"alg": "HS256", "kid": "one"}, RS, json.dumps(public_jwk("RS256", "one")).encode()
    ),
    "HMAC under nothing": by_hand({"alg": "HS256", "kid": "one"}, RS, b""),
    "no algorithm": by_hand({"alg": "none", "kid": "one"}, RS, None),
    "no algorithm, spelt otherwise": by_hand({"alg": "nOnE", "kid": "one"}, RS, None),
    "no algorithm named": by_hand({"kid": "one"}, RS, None),
    "no algorithm at an HMAC issuer": by_hand({"alg": "none"}, claims("site"), None),
    "RS256 at an ES256 issuer": signed(of("ES256"), "RS256"),
    "ES256 at an RS256 issuer": signed(of("RS256"), "ES256"),
    "RS256 at an HMAC issuer": signed(claims("site"), "RS256"),
    "RS512 with the right key": jwt.encode(
        RS, private_key("RS256"), algorithm="RS512", headers={"kid": "one"}
    ),
    "another key of that name": signed(RS, name="second"),
    "a key id that is a path": signed(RS, kid="../../../../dev/null"),
    "a key id that is an address": signed(RS, kid="https://evil.example/keys"),
    "a key id that is a query": signed(RS, kid="one' OR '1'='1"),
    "an empty key id": signed(RS, kid=""),
    "no key id": signed(RS, kid=None),
    "a key id that is no text": by_hand({"alg": "RS256", "kid": ["one"]}, RS, b"x"),
    "its own key in the header": signed(
        RS, kid="mine", name="second", jwk=public_jwk("RS256", "mine", "second")
    ),
    "its own key under a known name": signed(
        RS, name="second", jwk=public_jwk("RS256", "one", "second")
    ),
    "its own certificate": signed(RS, kid="mine", name="second", x5c=["MIIB"]),
    "an unknown critical header": signed(RS, crit=["exp"], exp=1),
    "another audience": signed(of("RS256", aud="anon")),
    "an audience among others' parts": signed(of("RS256", aud=f"not-{AUDIENCE}")),
    "an audience that is an object": signed(of("RS256", aud={AUDIENCE: 1})),
    "another issuer": signed(claims("https://evil.example")),
    "an issuer with a slash more": signed(claims(f"{SITE}/RS256/")),
    "an issuer that is a list": by_hand({"alg": "HS256"}, claims(SITE) | {"iss": ["site"]}, b"x"),
    "no issuer": by_hand({"alg": "HS256"}, {"sub": "ana", "exp": 2**33}, SECRET.encode()),
    "no expiry": signed(of("RS256", exp=None)),
    "an expiry that is no number": signed(of("RS256", exp="never")),
    "an expiry beyond every number": by_hand(
        {"alg": "HS256"}, b'{"iss":"site","exp":1e999}', SECRET.encode()
    ),
    "no audience": signed(of("RS256", aud=None)),
    "no subject": signed(of("RS256", sub=None)),
    "a subject that is no text": by_hand(
        {"alg": "HS256"}, claims("site") | {"sub": ["ana"]}, SECRET.encode()
    ),
    "not yet valid": signed(of("RS256", nbf=int(time.time()) + 86400)),
    "issued tomorrow": signed(of("RS256", iat=int(time.time()) + 86400)),
    "an owner's of an issuer without owners": jwt.encode(
        claims(SUPABASE), SECRET, algorithm="HS256"
    ),
    "an operator's for somebody else": signed(
        of("ES256", role="service_role", aud="elsewhere"), "ES256"
    ),
    "nested beyond reason": by_hand({"alg": "HS256"}, b"[" * 4000, SECRET.encode()),
    "a header nested beyond reason": by_hand(b"[" * 4000, {}, SECRET.encode()),  # type: ignore[arg-type]
    "five parts": signed(RS) + ".a.b",
    "no text at all": "...",
    "of another alphabet": "äöü.äöü.äöü",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_what_no_configured_issuer_made_is_invalid(verifier: Verifier, token: str) -> None:
    with pytest.raises(TokenInvalid):
        verifier.verify(token)


def test_a_token_longer_than_any_header_is_not_even_read(verifier: Verifier) -> None:
    fits = signed(of("EdDSA", pad="x" * 5000), "EdDSA")
    assert len(fits) < MAX_TOKEN_CHARS
    assert verifier.verify(fits).subject == "ana"
    with pytest.raises(TokenInvalid):
        verifier.verify(signed(of("EdDSA", pad="x" * 7000), "EdDSA"))


def test_addresses_in_a_header_are_not_asked(
    verifier: Verifier, publishers: Mapping[str, Publisher]
) -> None:
    with publishing(public_jwk("RS256", "mine", "second")) as strangers:
        where = {"jku": strangers.url, "x5u": strangers.url}
        with pytest.raises(TokenInvalid):
            verifier.verify(signed(RS, kid="mine", name="second", **where))
        assert verifier.verify(signed(RS, **where)).subject == "ana"
        assert strangers.asked == 0


def test_clocks_may_differ_by_thirty_seconds(verifier: Verifier) -> None:
    now = int(time.time())
    assert verifier.verify(signed(of("RS256", exp=now - 20, nbf=now + 20))).subject == "ana"
    with pytest.raises(TokenExpired):
        verifier.verify(signed(of("RS256", exp=now - 40)))


def test_an_expired_token_that_is_also_forged_is_only_invalid(verifier: Verifier) -> None:
    with pytest.raises(TokenInvalid):
        verifier.verify(signed(of("RS256", exp=1), name="second"))


def test_a_key_too_short_for_its_algorithm_verifies_nothing() -> None:
    with publishing(public_jwk("RS256", "one", "short")) as publisher:
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            token = signed(of("RS256"), name="short")
        with pytest.raises(TokenInvalid):
            verifier_of(publisher).verify(token)


def verifier_of(publisher: Publisher) -> Verifier:
    issuer = Issuer.model_validate(
        {
            "issuer": f"{SITE}/RS256",
            "audience": AUDIENCE,
            "algorithm": "RS256",
            "jwks_url": publisher.url,
        }
    )
    return Verifier({issuer.issuer: issuer}, PATIENCE)


def test_an_issuer_that_publishes_nothing_is_told_apart_from_a_wrong_token() -> None:
    with publishing() as publisher, pytest.raises(KeysUnavailable):
        verifier_of(publisher).verify(signed(of("RS256")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithm": "none", "secret": SECRET},
        {"algorithm": "HS512", "secret": SECRET},
        {"algorithm": ["HS256", "RS256"], "secret": SECRET},
        {"algorithm": "HS256"},
        {"algorithm": "HS256", "secret": "short"},
        {"algorithm": "HS256", "jwks_url": "https://site.example/keys"},
        {"algorithm": "HS256", "secret": SECRET, "jwks_url": "https://site.example/keys"},
        {"algorithm": "RS256", "secret": SECRET},
        {"algorithm": "RS256", "secret": SECRET, "jwks_url": "https://site.example/keys"},
        {"algorithm": "RS256"},
        {"algorithm": "HS256", "secret": SECRET, "audience": None},
        {"algorithm": "HS256", "secret": SECRET, "colour": "red"},
    ],
)
def test_an_issuer_has_one_family_and_all_that_it_needs(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Issuer.model_validate({"issuer": "x", "audience": AUDIENCE, **wrong})


def test_a_post_claimed_by_an_operator_is_nothing(verifier: Verifier) -> None:
    said = of("ES256", role="service_role", post_id=str(UUID(int=1)))
    assert verifier.verify(signed(said, "ES256")).posts == frozenset()
