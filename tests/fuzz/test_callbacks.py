import base64
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.net.signatures import Rejection, SignatureRejected, sign, verify
from tests.fuzz.mutations import HOSTILE_TEXT, mutated
from tests.webhook_vectors import GOOD, PROVIDERS, SIGNATURE_HEADER

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NOW = datetime(2026, 3, 1, tzinfo=UTC)
BODY = b'{"type":"job.completed","data":{"job":{"id":"1"}}}'
HEADERS = sign(SECRET, "evt_1", NOW, BODY)

NAMES = st.sampled_from((*HEADERS, *(name.upper() for name in HEADERS), "content-type"))
FORGED = st.dictionaries(NAMES, HOSTILE_TEXT | st.text(max_size=120) | st.sampled_from(
    ("v1,", "v1,AAAA", "v2,AAAA", "v1a,AAAA", "v1,é", "v1, " * 200, "1772323200", "-1", "9" * 11)
))  # fmt: skip


@given(FORGED, st.binary(max_size=80))
def test_a_forgery_is_refused_with_a_reason_and_nothing_else(
    headers: Mapping[str, str], body: bytes
) -> None:
    with pytest.raises(SignatureRejected) as refused:
        verify(headers, body, [SECRET], now=NOW)
    assert refused.value.reason in Rejection


@given(mutated(BODY))
def test_a_body_that_was_changed_is_refused(body: bytes) -> None:
    assume(body != BODY)
    with pytest.raises(SignatureRejected):
        verify(HEADERS, body, [SECRET], now=NOW)


@given(st.sampled_from(sorted(HEADERS)), st.data())
def test_a_header_that_was_changed_is_refused(name: str, data: st.DataObject) -> None:
    changed = data.draw(mutated(HEADERS[name].encode())).decode("latin-1")
    # Whole copies of the right signature beside others are what rotation looks like.
    assume(HEADERS[name] not in changed.split(" "))
    with pytest.raises(SignatureRejected):
        verify({**HEADERS, name: changed}, BODY, [SECRET], now=NOW)


SIGNATURES = {scheme: GOOD[scheme].headers[SIGNATURE_HEADER[scheme]] for scheme in PROVIDERS}
SCHEMES = st.sampled_from(PROVIDERS)
ENTRIES = st.builds(
    "{}{}{}".format,
    st.sampled_from(("t", "time", "v1", "v2", "sig1", "sha256", "")),
    st.sampled_from(("=", "==", ":", "= ", "")),
    HOSTILE_TEXT | st.text(max_size=70) | st.sampled_from(("1565125718", "1230811200", "0" * 64)),
)


@given(SCHEMES, st.lists(ENTRIES, max_size=12).map(",".join), st.binary(max_size=80))
def test_a_forgery_in_a_providers_name_is_refused_with_a_reason_and_nothing_else(
    scheme: str, header: str, body: bytes
) -> None:
    with pytest.raises(SignatureRejected) as refused:
        GOOD[scheme].verify(headers={SIGNATURE_HEADER[scheme]: header}, body=body)
    assert refused.value.reason in Rejection


@given(SCHEMES, st.data())
def test_a_providers_callback_that_was_changed_is_refused(scheme: str, data: st.DataObject) -> None:
    good, right = GOOD[scheme], SIGNATURES[scheme]
    header = data.draw(
        st.just(right) | mutated(right.encode()).map(lambda raw: raw.decode("latin-1"))
    )
    body = data.draw(st.just(good.body) | mutated(good.body))
    # Among others the right entries, whole and in any order, are what rotation looks like.
    assume(body != good.body or not set(right.split(",")) <= set(header.split(",")))
    with pytest.raises(SignatureRejected):
        good.verify(headers={SIGNATURE_HEADER[scheme]: header}, body=body)
