import hmac
from datetime import timedelta

import pytest

from pipeline.net.signatures import SecretMalformed, SignatureRejected
from tests.webhook_vectors import GOOD, PROVIDERS, PUBLISHED, SIGNATURE_HEADER, Published

LABELS = {"mux": ("t", "v1"), "cloudflare_stream": ("time", "sig1")}
OTHER_SECRET = "another secret"

each_provider = pytest.mark.parametrize("scheme", PROVIDERS)
each_timed = pytest.mark.parametrize("scheme", LABELS)


def rejection(vector: Published, header: str | None = None, *, late_sec: float = 0) -> str:
    headers = vector.headers
    if header is not None:
        headers = {**headers, SIGNATURE_HEADER[vector.scheme]: header}
    with pytest.raises(SignatureRejected) as rejected:
        vector.verify(headers=headers, now=vector.now + timedelta(seconds=late_sec))
    return rejected.value.reason


def parts(scheme: str) -> tuple[str, str, str]:
    """The good header, its entry of the time, and the hex of its signature."""
    header = GOOD[scheme].headers[SIGNATURE_HEADER[scheme]]
    time, _, entry = header.partition(",")
    return header, time, entry.partition("=")[2]


def test_every_published_callback_is_here() -> None:
    schemes = [vector.scheme for vector in PUBLISHED]
    counts = {scheme: schemes.count(scheme) for scheme in schemes}
    assert counts == {"mux": 5, "cloudflare_stream": 1, "api_video": 1, "standard_webhooks": 2}


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: f"{vector.scheme} {vector.expect}")
def test_what_is_published_is_judged_as_published(vector: Published) -> None:
    if vector.expect == "ok":
        vector.verify()
    else:
        with pytest.raises(SignatureRejected) as rejected:
            vector.verify()
        assert rejected.value.reason == vector.expect


@each_timed
def test_it_tells_when_a_callback_was_sent(scheme: str) -> None:
    assert GOOD[scheme].verify() == GOOD[scheme].now


@each_provider
def test_header_names_count_in_any_case(scheme: str) -> None:
    vector = GOOD[scheme]
    vector.verify(headers={name.title(): value for name, value in vector.headers.items()})


@each_provider
def test_any_of_the_active_secrets_will_do(scheme: str) -> None:
    vector = GOOD[scheme]
    vector.verify(secrets=[vector.secret, OTHER_SECRET])
    vector.verify(secrets=[OTHER_SECRET, vector.secret])


@each_provider
def test_without_the_right_secret_nothing_is_believed(scheme: str) -> None:
    for secrets in ([], [OTHER_SECRET]):
        with pytest.raises(SignatureRejected, match="bad_signature"):
            GOOD[scheme].verify(secrets=secrets)


@each_provider
def test_an_empty_secret_is_our_own_fault(scheme: str) -> None:
    with pytest.raises(SecretMalformed):
        GOOD[scheme].verify(secrets=[""])


@each_provider
def test_the_body_counts_byte_by_byte(scheme: str) -> None:
    vector = GOOD[scheme]
    for body in (b"", vector.body + b"\n", vector.body.replace(b'":', b'": ')):
        with pytest.raises(SignatureRejected, match="bad_signature"):
            vector.verify(body=body)


@each_provider
def test_a_missing_or_empty_header_is_told(scheme: str) -> None:
    assert rejection(GOOD[scheme], "") == "missing_header"
    with pytest.raises(SignatureRejected, match="missing_header"):
        GOOD[scheme].verify(headers={})


@each_timed
@pytest.mark.parametrize(
    ("late_sec", "reason"),
    [(301, "stale_timestamp"), (300.5, "stale_timestamp"), (-301, "future_timestamp")],
)
def test_the_window_is_closed_on_both_sides(scheme: str, late_sec: float, reason: str) -> None:
    assert rejection(GOOD[scheme], late_sec=late_sec) == reason


@each_timed
@pytest.mark.parametrize("late_sec", [-300, 300])
def test_a_clock_that_is_off_by_the_tolerance_is_believed(scheme: str, late_sec: int) -> None:
    vector = GOOD[scheme]
    assert vector.verify(now=vector.now + timedelta(seconds=late_sec)) == vector.now


@each_timed
def test_a_time_that_is_missing_double_or_no_number_is_malformed(scheme: str) -> None:
    _, time, hexed = parts(scheme)
    label, signed = LABELS[scheme]
    stamp, signature = time.partition("=")[2], f"{signed}={hexed}"
    for times in (
        *("", f"{label}", f"{label}=", f"{label.upper()}={stamp}", f" {time}", f"x{time}"),
        *(f"{time},{time}", f"{time},{label}=1", f"{label}=1,{time}", f"{time},{label}"),
        *(f"{label}= {stamp}", f"{label}=+{stamp}", f"{label}={stamp}.5", f"{label}={stamp}00"),
        *(
            f"{label}=soon",
            f"{label}=\u0661",
            f"{label}=\ud800",
            f"{label}=={stamp}",
            time[:-1] + "é",
        ),
    ):
        assert rejection(GOOD[scheme], f"{times},{signature}") == "malformed_timestamp", times


@each_timed
def test_one_good_signature_among_several_will_do(scheme: str) -> None:
    _, time, hexed = parts(scheme)
    signed = LABELS[scheme][1]
    good = f"{signed}={hexed}"
    for header in (
        f"{time},{signed}=00,{good}",
        f"{good},{signed}=00,{time}",
        f"{time},v2=00,v0=00,x,{good},",
    ):
        GOOD[scheme].verify(headers={SIGNATURE_HEADER[scheme]: header})


@each_timed
def test_no_confusion_of_versions_spellings_or_numbers_passes(scheme: str) -> None:
    header, time, hexed = parts(scheme)
    label, signed = LABELS[scheme]
    good = f"{signed}={hexed}"
    others = (
        f"{other}={hexed}" for other in ("v0", "v2", "v10", "sig", "sig2", signed.upper(), "")
    )
    for signatures in (
        *("", signed, f"{signed}=", hexed, f" {good}", f"{signed} ={hexed}", f"{signed}= {hexed}"),
        *(*others, f"{signed}={good}", f"{signed}:{hexed}", good.replace("=", "==")),
        *(good[:-1], good + "0", good + "\0", f"{signed}={hexed.upper()}", f"{signed}=0x{hexed}"),
        *(f"{good};v2=00", f"{signed}=é", f"{signed}=\ud800", f"{signed}=" + "0" * 100_000),
        ",".join([f"{signed}=00"] * 8 + [good]),
        "x=0," * 300 + good,
    ):
        assert rejection(GOOD[scheme], f"{time},{signatures}") == "bad_signature", signatures
    foreign = header.replace(f"{label}=", "t=" if label != "t" else "time=")
    assert rejection(GOOD[scheme], foreign) == "malformed_timestamp"


def test_a_signature_over_the_body_alone_is_only_itself() -> None:
    vector = GOOD["api_video"]
    good = vector.headers[SIGNATURE_HEADER["api_video"]]
    for header in (
        *(
            good[:-1],
            good + "0",
            good.upper(),
            f" {good}",
            f"{good} ",
            f"{good},{good}",
            f"v1={good}",
        ),
        *(f"sha256={good}", "0x" + good, "é", "\ud800", "0" * 64, "0" * 100_000),
    ):
        assert rejection(vector, header) == "bad_signature", header


@each_provider
def test_every_secret_is_compared_whichever_matches(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def noted(ours: bytes, theirs: bytes) -> bool:
        compared.append(ours)
        return compare(ours, theirs)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    vector = GOOD[scheme]

    vector.verify(secrets=[vector.secret, OTHER_SECRET, vector.secret])

    assert len(compared) == 3
