import string
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import BadData, BadSignature, URLSafeSerializer

from pipeline.runtime.signed_tokens import read_token, sign_token

KEY = "k" * 32
PURPOSE = "khronika.test.v1"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_a_token_gives_back_its_value_and_needs_no_quoting(payload: object) -> None:
    token = sign_token(KEY, payload, purpose=PURPOSE)

    assert set(token) <= set(string.ascii_letters + string.digits + "-_.")
    assert read_token(KEY, token, purpose=PURPOSE) == payload


@pytest.mark.parametrize(("key", "purpose"), [("o" * 32, PURPOSE), (KEY, "khronika.other.v1")])
def test_a_token_of_another_key_or_purpose_is_refused(key: str, purpose: str) -> None:
    token = sign_token(key, [1], purpose=purpose)

    with pytest.raises(BadSignature):
        read_token(KEY, token, purpose=PURPOSE)


@given(st.text(max_size=80))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BadData):
        read_token(KEY, text, purpose=PURPOSE)


def test_a_signature_by_the_librarys_defaults_is_refused() -> None:
    for options in ({}, {"key_derivation": "hmac"}, {"digest_method": sha256}):
        weaker = str(URLSafeSerializer(KEY, salt=PURPOSE, signer_kwargs=options).dumps([1]))

        with pytest.raises(BadSignature):
            read_token(KEY, weaker, purpose=PURPOSE)
