from collections.abc import Callable
from threading import Event, Lock, Thread, get_ident
from typing import Any

import pytest

from api.identity.jwks import MAX_BYTES, KeyClient, KeySet, KeysUnavailable, Patience
from pipeline.net.fetch import FetchCode, FetchRefused
from tests.key_publisher import public_jwk, publishing

PATIENCE = Patience(life_sec=600, cooldown_sec=10, stale_sec=3600)


class Issuer(KeyClient):
    """An issuer that answers without a network and counts its requests."""

    def __init__(self) -> None:
        super().__init__("https://issuer.example")
        self.asked = 0
        self.now = 1000.0
        self.keys: list[dict[str, Any]] = [public_jwk("ES256", "one")]
        self.is_away = False

    def fetch_data(self) -> Any:
        self.asked += 1
        if self.is_away:
            raise ValueError("away")
        return {"keys": self.keys}

    def key_set(self, algorithm: str = "ES256") -> KeySet:
        return KeySet(self, algorithm, PATIENCE, clock=lambda: self.now)


def test_keys_are_asked_for_once_and_then_known() -> None:
    issuer = Issuer()
    keys = issuer.key_set()
    assert [keys.key("one") is not None for _ in range(3)] == [True] * 3
    assert issuer.asked == 1


def test_a_flood_of_unknown_ids_costs_one_request_in_a_cool_down() -> None:
    issuer = Issuer()
    keys = issuer.key_set()
    keys.key("one")
    issuer.now += PATIENCE.cooldown_sec
    assert {keys.key(f"forged {number}") for number in range(1000)} == {None}
    assert issuer.asked == 2


def test_a_key_that_was_published_since_is_found_after_the_cool_down() -> None:
    issuer = Issuer()
    keys = issuer.key_set()
    keys.key("one")
    issuer.keys.append(public_jwk("ES256", "two", "second"))
    assert keys.key("two") is None
    issuer.now += PATIENCE.cooldown_sec
    assert keys.key("two") is not None


def test_a_key_that_was_withdrawn_verifies_no_longer_than_the_life_of_a_key_set() -> None:
    issuer = Issuer()
    keys = issuer.key_set()
    keys.key("one")
    issuer.keys = [public_jwk("ES256", "two")]
    issuer.now += PATIENCE.life_sec - 1
    assert keys.key("one") is not None
    issuer.now += 1
    assert keys.key("one") is None


def test_known_keys_verify_while_the_issuer_is_away_and_no_longer_than_is_set() -> None:
    issuer = Issuer()
    keys = issuer.key_set()
    keys.key("one")
    issuer.is_away = True
    issuer.now += PATIENCE.stale_sec - 1
    assert keys.key("one") is not None
    issuer.now += 1
    with pytest.raises(KeysUnavailable):
        keys.key("one")
    issuer.is_away = False
    issuer.now += PATIENCE.cooldown_sec
    assert keys.key("one") is not None


def test_while_the_issuer_is_away_an_unknown_key_is_not_called_wrong() -> None:
    issuer = Issuer()
    keys = issuer.key_set()
    keys.key("one")
    issuer.is_away = True
    issuer.now += PATIENCE.cooldown_sec
    with pytest.raises(KeysUnavailable):
        keys.key("two")


def test_an_issuer_that_never_answered_is_asked_once_in_a_cool_down_too() -> None:
    issuer = Issuer()
    issuer.is_away = True
    keys = issuer.key_set()
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            keys.key("one")
    assert issuer.asked == 1


def in_threads(number: int, work: Callable[[], None]) -> list[Thread]:
    threads = [Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def test_many_who_ask_at_once_share_one_request() -> None:
    found, guard = [], Lock()
    came: set[int] = set()
    all_came = Event()

    def clock() -> float:
        came.add(get_ident())
        if len(came) == 16:
            all_came.set()
        return issuer.now

    class SlowIssuer(Issuer):
        def fetch_data(self) -> Any:
            assert all_came.wait(60)  # every thread has seen that the keys have to be requested
            return super().fetch_data()

    issuer = SlowIssuer()
    keys = KeySet(issuer, "ES256", PATIENCE, clock=clock)

    def ask() -> None:
        key = keys.key("one")
        with guard:
            found.append(key)

    for thread in in_threads(16, ask):
        thread.join()
    assert issuer.asked == 1
    assert len(found) == 16
    assert None not in found


def test_whoever_has_a_known_key_does_not_wait_for_the_answer_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.identity.jwks.FETCH_TIMEOUT_SEC", 60.0)  # longer than the answer takes
    asking, answer = Event(), Event()

    class SlowIssuer(Issuer):
        def fetch_data(self) -> Any:
            if self.asked == 1:
                asking.set()
                answer.wait(60)
            return super().fetch_data()

    issuer = SlowIssuer()
    keys = issuer.key_set()
    keys.key("one")
    issuer.now += PATIENCE.life_sec
    [waiting] = in_threads(1, lambda: assert_known(keys))
    assert asking.wait(60)
    assert_known(keys)
    assert waiting.is_alive()
    answer.set()
    waiting.join()
    assert issuer.asked == 2


def assert_known(keys: KeySet) -> None:
    assert keys.key("one") is not None


@pytest.mark.parametrize(
    "key",
    [
        public_jwk("RS256", "one"),
        public_jwk("ES256", "one", use="enc"),
        public_jwk("ES256", "one", alg="HS256"),
        public_jwk("ES256", None),
        {"kty": "oct", "kid": "one", "k": "c2VjcmV0"},
        {"kty": "EC", "kid": "one", "crv": "P-256", "x": "AA", "y": "AA"},
    ],
    ids=["another type", "for encryption", "for HMAC", "nameless", "symmetric", "off the curve"],
)
def test_only_signature_keys_of_the_configured_algorithm_are_taken(key: dict[str, Any]) -> None:
    issuer = Issuer()
    issuer.keys = [key, public_jwk("ES256", "other")]
    keys = issuer.key_set()
    assert keys.key("one") is None
    assert keys.key("other") is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"keys": null}',
        b'{"keys": {"one": 1}}',
        b'{"keys": [{"kty": "EC", "alg": ["ES256"], "kid": "one"}]}',
        b'{"keys": [{"kty": ["EC"]}]}',
        b'{"keys": [{"kty": "RSA", "n": 7, "e": [], "kid": "one"}]}',
        b"[" * 60_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_key_set_is_no_answer(body: bytes) -> None:
    with publishing() as publisher:
        publisher.body = body
        with pytest.raises(KeysUnavailable):
            KeySet(KeyClient(publisher.url), "ES256", PATIENCE).key("one")


def test_keys_come_over_http_within_bounds_and_without_redirects() -> None:
    with publishing(public_jwk("EdDSA", "one")) as publisher:
        client = KeyClient(publisher.url)
        assert KeySet(client, "EdDSA", PATIENCE).key("one") is not None
        publisher.status, publisher.headers = 302, {"Location": "/elsewhere"}
        with pytest.raises(FetchRefused, match="redirects"):
            client.fetch_data()
        publisher.status, publisher.headers = 500, {}
        with pytest.raises(FetchRefused):
            client.fetch_data()
        publisher.status, publisher.body = 200, b" " * (MAX_BYTES + 1)
        with pytest.raises(FetchRefused) as refused:
            client.fetch_data()
        assert refused.value.code is FetchCode.SOURCE_TOO_LARGE


def test_an_https_address_is_never_asked_in_the_clear() -> None:
    with publishing(public_jwk("EdDSA", "one")) as publisher, pytest.raises(FetchRefused):
        KeyClient(publisher.url.replace("http:", "https:")).fetch_data()
