import base64
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from pipeline.net.signatures import SecretMalformed, SignatureRejected, Signed, sign, verify

# The vector of the Standard Webhooks libraries' own tests.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
SENT_AT = datetime.fromtimestamp(1614265330, UTC)
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of ours").decode()
SIGNATURE = HEADERS["webhook-signature"]


def rejection(
    *,
    headers: dict[str, str] | None = None,
    body: bytes = BODY,
    secrets: tuple[str, ...] = (SECRET,),
    late_sec: float = 0,
) -> str:
    with pytest.raises(SignatureRejected) as rejected:
        verify(
            {**HEADERS, **(headers or {})},
            body,
            secrets,
            now=SENT_AT + timedelta(seconds=late_sec),
        )
    return rejected.value.reason


def test_the_published_vector_verifies() -> None:
    assert verify(HEADERS, BODY, [SECRET], now=SENT_AT) == Signed(HEADERS["webhook-id"], SENT_AT)


def test_the_published_vector_is_what_we_sign() -> None:
    assert sign(SECRET, HEADERS["webhook-id"], SENT_AT, BODY) == HEADERS


@given(
    key=st.binary(min_size=24, max_size=64),
    event_id=st.from_regex(r"[\x21-\x7e]{1,255}", fullmatch=True),
    body=st.text(max_size=200),
)
def test_the_reference_library_agrees(key: bytes, event_id: str, body: str) -> None:
    secret = base64.b64encode(key).decode()
    now = datetime.now(UTC)
    theirs = Webhook(secret).sign(event_id, now, body)

    headers = sign(secret, event_id, now, body.encode())

    assert headers["webhook-signature"] == theirs
    assert verify(headers, body.encode(), [secret], now=now).id == event_id


def test_header_names_count_in_any_case() -> None:
    shouted = {name.title(): value for name, value in HEADERS.items()}

    assert verify(shouted, BODY, [SECRET], now=SENT_AT)


@pytest.mark.parametrize("secrets", [(SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)])
def test_any_of_the_active_secrets_will_do(secrets: tuple[str, ...]) -> None:
    assert verify(HEADERS, BODY, secrets, now=SENT_AT)


def test_a_secret_needs_no_prefix() -> None:
    assert verify(HEADERS, BODY, [SECRET.removeprefix("whsec_")], now=SENT_AT)


@pytest.mark.parametrize(
    "signatures",
    [
        f"v1,AAAA {SIGNATURE}",
        f"{SIGNATURE} v1,AAAA",
        f"v1a,AAAA v2,x {SIGNATURE}",
        f" {SIGNATURE} ",
    ],
)
def test_one_good_signature_among_several_will_do(signatures: str) -> None:
    assert verify({**HEADERS, "webhook-signature": signatures}, BODY, [SECRET], now=SENT_AT)


def test_every_secret_is_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def noted(ours: bytes, theirs: bytes) -> bool:
        compared.append(ours)
        return compare(ours, theirs)

    monkeypatch.setattr(hmac, "compare_digest", noted)

    verify(HEADERS, BODY, [SECRET, OTHER_SECRET, SECRET], now=SENT_AT)

    assert len(compared) == 3


@pytest.mark.parametrize("name", HEADERS)
def test_a_missing_or_empty_header_is_told(name: str) -> None:
    without = {key: value for key, value in HEADERS.items() if key != name}

    with pytest.raises(SignatureRejected) as rejected:
        verify(without, BODY, [SECRET], now=SENT_AT)

    assert rejected.value.reason == "missing_header"
    assert rejection(headers={name: ""}) == "missing_header"


@pytest.mark.parametrize("event_id", ["a" * 256, "a b", "a\0", "ä", "\ud800"])
def test_an_id_that_could_not_be_stored_counts_as_missing(event_id: str) -> None:
    assert rejection(headers={"webhook-id": event_id}) == "missing_header"


@pytest.mark.parametrize(
    "stamp",
    [
        "soon",
        "1614265330.5",
        "-1614265330",
        "+1614265330",
        " 1614265330",
        "1" * 12,
        "\u0661",
        "1e9",
    ],
)
def test_a_time_that_is_no_number_of_seconds_is_malformed(stamp: str) -> None:
    assert rejection(headers={"webhook-timestamp": stamp}) == "malformed_timestamp"


@pytest.mark.parametrize("late_sec", [-300, 300])
def test_a_clock_that_is_off_by_the_tolerance_is_believed(late_sec: int) -> None:
    assert verify(HEADERS, BODY, [SECRET], now=SENT_AT + timedelta(seconds=late_sec))


@pytest.mark.parametrize(
    ("late_sec", "reason"),
    [(301, "stale_timestamp"), (300.5, "stale_timestamp"), (-301, "future_timestamp")],
)
def test_the_window_is_closed_on_both_sides(late_sec: float, reason: str) -> None:
    assert rejection(late_sec=late_sec) == reason


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "1614265331"},
        {"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")},
        {"webhook-signature": SIGNATURE.replace("v1,", "v2,")},
        {"webhook-signature": SIGNATURE.replace("v1,", "v1a,")},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ä"},
        {"webhook-signature": "v1,\ud800"},
    ],
    ids=str,
)
def test_a_change_of_any_signed_part_is_a_bad_signature(change: dict[str, str]) -> None:
    assert rejection(headers=change) == "bad_signature"


@pytest.mark.parametrize("body", [b"", BODY + b"\n", BODY.replace(b" ", b"")])
def test_the_body_counts_byte_by_byte(body: bytes) -> None:
    assert rejection(body=body) == "bad_signature"


@pytest.mark.parametrize("secrets", [(), (OTHER_SECRET,)])
def test_without_the_right_secret_nothing_is_believed(secrets: tuple[str, ...]) -> None:
    assert rejection(secrets=secrets) == "bad_signature"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64!", "whsec_abc"])
def test_a_secret_of_ours_that_is_malformed_is_our_own_fault(secret: str) -> None:
    with pytest.raises(SecretMalformed):
        verify(HEADERS, BODY, [secret], now=SENT_AT)


def test_an_id_that_would_be_rejected_is_not_signed() -> None:
    with pytest.raises(ValueError, match="255"):
        sign(SECRET, "a" * 256, SENT_AT, BODY)


@pytest.mark.parametrize(
    "signature",
    [
        *("", " ", ",", "v1", "v1,", "v1,,", "v1,v1,", ",v1", "V1," + SIGNATURE[3:]),
        *("v0," + SIGNATURE[3:], "v1a," + SIGNATURE[3:], "v10," + SIGNATURE[3:]),
        *(SIGNATURE[3:], "v1=" + SIGNATURE[3:], "v1, " + SIGNATURE[3:], "v1\t," + SIGNATURE[3:]),
        *(f"{SIGNATURE},{SIGNATURE}", f"v1,AAAA,{SIGNATURE}", f"v2,x,{SIGNATURE}"),
        *(SIGNATURE[:-1], SIGNATURE[:-5], SIGNATURE + "=", SIGNATURE.lower(), SIGNATURE + "\0"),
        *(SIGNATURE.replace("/", "_").replace("+", "-"), "v1," + "A" * 100_000),
        " ".join(["v1,AAAA"] * 8 + [SIGNATURE]),
    ],
    ids=lambda signature: ascii(signature[:40]),
)
def test_no_confusion_of_versions_spellings_or_numbers_passes(signature: str) -> None:
    reason = rejection(headers={"webhook-signature": signature})
    assert reason == ("bad_signature" if signature else "missing_header")


def test_signatures_beyond_what_a_sender_needs_cost_no_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[bytes] = []

    def noted(ours: bytes, _theirs: bytes) -> bool:
        compared.append(ours)
        return False

    monkeypatch.setattr(hmac, "compare_digest", noted)

    rejection(headers={"webhook-signature": " ".join(["v1,AAAA"] * 1000)})

    assert compared == []


@pytest.mark.parametrize("verdict", [True, False])
def test_it_is_the_comparison_in_constant_time_that_decides(
    monkeypatch: pytest.MonkeyPatch, verdict: bool
) -> None:
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: verdict)
    if verdict:
        verify(HEADERS, b"another body", [SECRET], now=SENT_AT)
    else:
        assert rejection() == "bad_signature"
