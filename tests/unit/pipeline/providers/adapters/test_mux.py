"""The adapter of Mux: its requests, its words, its events and its tokens."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import jwt
import pytest
import requests

import tests.vendors
from pipeline.domain.errors import TerminalProviderError, TransientProviderError
from pipeline.domain.values import (
    CallbackEnvelope,
    JobRef,
    LookAtJob,
    Phase,
    Playback,
    Profile,
    ProviderStatus,
    Verb,
)
from pipeline.net.signatures import Rejection, SignatureRejected
from pipeline.providers.base import CallbackUnreadable, OutputKind, Provider
from pipeline.runtime.filed_settings import SettingsInvalid
from tests.vendors.accounts import account_at, job_of, request_of
from tests.vendors.contract import specification
from tests.vendors.fake import document, serving
from tests.vendors.mux import KEY_ID, TOKEN_ID, TOKEN_SECRET, FakeMux, signing_key
from tests.webhook_vectors import PUBLISHED, Published

RECORDED = json.loads((Path(tests.vendors.__file__).parent / "recorded" / "mux.json").read_text())
ID = UUID(int=7)
READY = {"id": "a1", "status": "ready", "created_at": "1592366630", "passthrough": str(ID)}
PLAYS = {**READY, "playback_ids": [{"id": "p1", "policy": "public"}]}


@pytest.fixture
def mux() -> Iterator[FakeMux]:
    fake = FakeMux()
    with serving(fake):
        yield fake


@pytest.fixture
def account(mux: FakeMux, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with account_at(mux, monkeypatch) as opened:
        yield opened


def fetched(mux: FakeMux, account: Provider, asset: dict[str, Any]) -> ProviderStatus:
    """The report of an asset that Mux answers so."""
    mux.script["get"] = [document(200, {"data": asset}, {"X-Request-Id": "r1"})]
    status = account.fetch(JobRef(ID, "a1", mux.now(), poster_time_sec=2.5))
    assert status is not None
    assert status.provider_request_id == "r1"
    return status


def files(*ends: str) -> dict[str, Any]:
    named = [{"name": f"{at}.mp4", "height": at, "status": end} for at, end in enumerate(ends)]
    return {"static_renditions": {"files": named}}


def recorded(source: str, method: str) -> dict[str, Any]:
    [found] = [each for each in RECORDED if (each["source"], each["method"]) == (source, method)]
    exchange: dict[str, Any] = found
    return exchange


def envelope(event: dict[str, Any]) -> CallbackEnvelope:
    return CallbackEnvelope({}, json.dumps(event).encode())


def event(type_: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"id": "e1", "type": type_, "object": {"type": "asset", "id": "a1"}, "data": data}


def test_a_submission_carries_our_id_the_policy_the_cap_and_the_wish_for_an_mp4(
    mux: FakeMux, account: Provider
) -> None:
    request = request_of(
        title="A walk", playback=Playback.SIGNED, max_profile=Profile.P1440, poster_time_sec=2
    )

    submitted = account.submit(request)

    ours = str(request.attempt_id)
    assert mux.jobs[submitted.provider_job_id].spec == {
        "inputs": [{"url": request.source_url}],
        "playback_policies": ["signed"],
        "passthrough": ours,
        "meta": {"external_id": ours, "title": "A walk"},
        "static_renditions": [{"resolution": "highest", "passthrough": ours}],
        "max_resolution_tier": "1440p",
    }
    assert (submitted.provider_request_id or "").startswith("mux-")


def test_the_quality_of_the_account_is_sent(mux: FakeMux, monkeypatch: pytest.MonkeyPatch) -> None:
    with account_at(mux, monkeypatch, VIDEO_QUALITY="premium") as account:
        submitted = account.submit(request_of())

    assert mux.jobs[submitted.provider_job_id].spec["video_quality"] == "premium"


def test_a_request_that_breaks_the_published_contract_is_answered_by_500_and_kept() -> None:
    fake = FakeMux()

    def send_it() -> None:
        body = {"inputs": [{"url": "https://videos.example/a.mp4"}], "playback_polices": []}
        with serving(fake):
            url = f"{fake.url}/video/v1/assets"
            answer = requests.post(url, json=body, auth=(TOKEN_ID, TOKEN_SECRET), timeout=5)
            assert answer.status_code == 500

    with pytest.raises(AssertionError, match="playback_polices"):
        send_it()
    assert fake.jobs == {}


def test_a_refused_submission_keeps_muxs_words_and_no_query_of_an_address(
    mux: FakeMux, account: Provider
) -> None:
    messages = ["Failed to fetch https://videos.example/a.mp4?signature=secret", "try another"]
    error = {"error": {"type": "invalid_parameters", "messages": messages}}
    mux.script["submit"] = [document(400, error, {"X-Request-Id": "r9"})]

    with pytest.raises(TerminalProviderError) as refused:
        account.submit(request_of())

    words = "invalid_parameters; Failed to fetch https://videos.example/a.mp4; try another"
    assert (str(refused.value), refused.value.request_id) == (words, "r9")


def test_a_recorded_asset_in_preparation_waits(mux: FakeMux, account: Provider) -> None:
    status = fetched(mux, account, recorded("Assets_get", "get")["response"]["data"])

    assert (status.phase, status.progress, status.attempt_id) == (Phase.WAITING, None, None)
    assert status.provider_job_id == "CPd701nzPPbeFPLMx3oVTW8L01JvUid4nhwtjF5HgRRqI"


@pytest.mark.parametrize(
    ("source", "method"), [("Assets_getFail", "get"), ("Assets_deleteFail", "delete")]
)
def test_a_recorded_refusal_of_an_id_means_that_there_is_no_such_job(
    mux: FakeMux, account: Provider, source: str, method: str
) -> None:
    exchange = recorded(source, method)
    mux.script[method] = [document(exchange["status"], exchange["response"])]
    job = JobRef(ID, "somefakeid", mux.now())

    answer = account.fetch(job) if method == "get" else account.cancel(job)  # type: ignore[func-returns-value]

    assert answer is None
    assert mux.asked == [(method, exchange["path"])]


def test_a_recorded_list_is_read_back_to_the_instant_and_no_further(
    mux: FakeMux, account: Provider
) -> None:
    page = recorded("Assets_list", "get")["response"]
    created = [int(asset["created_at"]) for asset in page["data"]]
    assert created == sorted(created, reverse=True)
    mux.script["list"] = [document(200, page)]
    instant = datetime.fromtimestamp(created[3], UTC)

    listed = list(account.list_since(instant))

    assert [job.provider_job_id for job in listed] == [a["id"] for a in page["data"][:4]]
    assert listed[0].duration_sec == page["data"][0]["duration"]


def test_a_list_without_an_end_is_given_up(mux: FakeMux, account: Provider) -> None:
    page = {"data": [{**READY, "created_at": "19000000000"}], "next_cursor": "again"}
    mux.script["list"] = [document(200, page) for _ in range(60)]

    with pytest.raises(TransientProviderError, match="does not end"):
        account.find(job_of(mux, request_of()))


def test_the_published_examples_are_read(mux: FakeMux, account: Provider) -> None:
    paths = specification("mux")["paths"]
    answer = paths["/video/v1/assets/{ASSET_ID}"]["get"]["responses"]["200"]
    example = answer["content"]["application/json"]["example"]

    status = fetched(mux, account, example["data"])

    assert status.phase is Phase.PLAYABLE
    assert status.outputs is not None
    playback_id = example["data"]["playback_ids"][0]["id"]
    assert playback_id in status.outputs.manifest_url


def test_the_outputs_of_a_ready_asset_lie_at_mux(
    mux: FakeMux, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"STREAM_URL": "", "IMAGE_URL": "", "OUTPUT_HOSTS": ""}
    track = {"type": "video", "max_width": 1920, "max_height": 1080}
    asset = {**PLAYS, "duration": 23.9, "tracks": [{"type": "audio"}, track]}
    with account_at(mux, monkeypatch, **plain) as account:
        outputs = fetched(mux, account, {**asset, **files("ready", "ready")}).outputs

    assert outputs is not None
    assert outputs.manifest_url == "https://stream.mux.com/p1.m3u8"
    assert outputs.fallback_url == "https://stream.mux.com/p1/1.mp4"
    assert outputs.poster_url == "https://image.mux.com/p1/thumbnail.jpg?time=2.5"
    assert outputs.thumbnail_url == "https://image.mux.com/p1/thumbnail.jpg?time=2.5&width=640"
    assert outputs.storyboard_url == "https://image.mux.com/p1/storyboard.vtt"
    assert (outputs.duration_sec, outputs.width, outputs.height) == (23.9, 1920, 1080)
    assert account.trust.output_hosts >= {"*.mux.com", "stream.mux.com", "image.mux.com"}


@pytest.mark.parametrize(
    ("asset", "phase"),
    [
        ({**READY, "status": "preparing"}, Phase.WAITING),
        ({**READY, "status": "preparing", "progress": {"progress": -1}}, Phase.RUNNING),
        ({**READY, "status": "preparing", "progress": None}, Phase.WAITING),
        (PLAYS, Phase.PLAYABLE),
        ({**PLAYS, **files("preparing")}, Phase.PLAYABLE),
        ({**PLAYS, **files("errored", "preparing")}, Phase.PLAYABLE),
        ({**PLAYS, **files("skipped", "ready")}, Phase.COMPLETED),
        ({**PLAYS, **files("ready")}, Phase.COMPLETED),
        ({**PLAYS, **files("skipped")}, Phase.FAILED),
        ({**PLAYS, **files("errored", "skipped")}, Phase.FAILED),
        (
            {**PLAYS, "static_renditions": {"files": [{"name": "audio.m4a", "status": "ready"}]}},
            Phase.PLAYABLE,
        ),
        (READY, Phase.FAILED),
        ({**READY, "playback_ids": []}, Phase.FAILED),
        ({**READY, "status": "errored"}, Phase.FAILED),
    ],
    ids=range(14),
)
def test_each_state_of_an_asset_has_a_phase(
    mux: FakeMux, account: Provider, asset: dict[str, Any], phase: Phase
) -> None:
    status = fetched(mux, account, asset)

    assert status.phase is phase
    assert (status.outputs is not None) is (phase in {Phase.PLAYABLE, Phase.COMPLETED})
    assert status.attempt_id == ID


@pytest.mark.parametrize(("percent", "progress"), [(-1, None), (0, 0), (39.5, 39.5), (101, 100)])
def test_an_unknown_percent_is_none(
    mux: FakeMux, account: Provider, percent: float, progress: float | None
) -> None:
    asset = {**READY, "status": "preparing", "progress": {"progress": percent}}

    assert fetched(mux, account, asset).progress == progress


def test_an_mp4_that_never_comes_is_a_failure_with_its_reason_and_may_be_tried_again(
    mux: FakeMux, account: Provider
) -> None:
    status = fetched(mux, account, {**PLAYS, **files("skipped")})

    assert (status.error_message, status.retryable) == ("the MP4 is skipped", True)


@pytest.mark.parametrize(
    ("type_", "code", "retryable"),
    [
        ("download_failed", "source_unreachable", True),
        ("fetch_error", "source_unreachable", True),
        ("invalid_input", "encode_failed", False),
        ("anything_new", "encode_failed", False),
    ],
)
def test_an_asset_that_could_not_be_fetched_may_be_tried_again(
    mux: FakeMux, account: Provider, type_: str, code: str, retryable: bool
) -> None:
    message = "no answer from https://videos.example/a.mp4?signature=secret"
    errors = {"type": type_, "messages": [message]}

    status = fetched(mux, account, {**READY, "status": "errored", "errors": errors})

    assert (status.error_code, status.retryable) == (code, retryable)
    assert status.error_message == f"{type_}; no answer from https://videos.example/a.mp4"


@pytest.mark.parametrize(
    "type_", ["created", "ready", "deleted", "static_rendition.ready", "static_rendition.errored"]
)
def test_an_event_is_a_reason_to_look(account: Provider, type_: str) -> None:
    data = {"id": "r1", "asset_id": "a1", "passthrough": str(ID)}
    name = f"video.asset.{type_}"

    read = account.read_callback(envelope(event(name, data)))

    assert read == LookAtJob("a1", ID, name)


def test_the_event_of_a_rendition_without_its_asset_is_about_the_events_object(
    account: Provider,
) -> None:
    read = account.read_callback(
        envelope(event("video.asset.static_rendition.skipped", {"id": "r1"}))
    )

    assert read == LookAtJob("a1", None, "video.asset.static_rendition.skipped")


def test_the_event_of_a_failure_is_believed(account: Provider) -> None:
    data = {**READY, "status": "errored", "errors": {"type": "invalid_input", "messages": ["bad"]}}

    read = account.read_callback(envelope(event("video.asset.errored", data)))

    assert isinstance(read, ProviderStatus)
    assert (read.phase, read.attempt_id, read.provider_job_id) == (Phase.FAILED, ID, "a1")
    assert read.error_message == "invalid_input; bad"


@pytest.mark.parametrize(
    "type_", ["video.asset.updated", "video.asset.warning", "video.upload.created", "new.thing"]
)
def test_other_events_are_not_used(account: Provider, type_: str) -> None:
    assert account.read_callback(envelope(event(type_, {"id": "a1"}))) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"7",
        b'{"type": "video.asset.ready"}',
        b'{"type": "video.asset.ready", "object": {"id": 7}}',
        b'{"type": "video.asset.ready", "object": {"id": "../x"}}',
        b'{"type": "video.asset.errored", "data": {"id": "a1"}}',
        b'{"test":"body"}',
    ],
    ids=range(8),
)
def test_a_body_that_is_no_event_is_unreadable(account: Provider, body: bytes) -> None:
    with pytest.raises(CallbackUnreadable):
        account.read_callback(CallbackEnvelope({}, body))


@pytest.mark.parametrize(
    "vector", [each for each in PUBLISHED if each.scheme == "mux"], ids=range(5)
)
def test_the_published_signatures_are_judged_as_published(
    account: Provider, vector: Published
) -> None:
    sent = CallbackEnvelope(vector.headers, vector.body)

    if vector.expect == "ok":
        signed = account.verify_callback(sent, [vector.secret], vector.now)
        assert signed.signed_at == datetime.fromtimestamp(1565125718, UTC)
        assert signed.event_id.startswith("sha256:")  # its body is no event
        return
    with pytest.raises(SignatureRejected) as refused:
        account.verify_callback(sent, [vector.secret], vector.now)
    assert refused.value.reason is Rejection(vector.expect)


def test_a_time_beyond_the_tolerance_in_the_future_is_refused(
    mux: FakeMux, account: Provider
) -> None:
    job = mux.orphan()
    [sent] = mux.callbacks_for(job.job_id, Phase.WAITING)

    with pytest.raises(SignatureRejected) as refused:
        account.verify_callback(
            CallbackEnvelope(sent.headers, sent.body),
            [mux.secret],
            mux.now() - timedelta(seconds=400),
        )
    assert refused.value.reason is Rejection.FUTURE_TIMESTAMP


def test_another_body_under_the_same_id_has_another_digest(mux: FakeMux, account: Provider) -> None:
    job = mux.orphan()
    [sent] = mux.callbacks_for(job.job_id, Phase.WAITING)
    mux.move(job.job_id, Phase.RUNNING)
    [other] = mux.callbacks_for(job.job_id, Phase.WAITING)

    first, second = (
        account.verify_callback(CallbackEnvelope(*each), [mux.secret], mux.now())
        for each in (sent, other)
    )

    assert first.event_id == second.event_id
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("kind", "audience", "path"),
    [
        (OutputKind.MANIFEST, "v", "/p1.m3u8"),
        (OutputKind.FALLBACK, "v", "/p1/highest.mp4"),
        (OutputKind.POSTER, "t", "/p1/thumbnail.jpg?time=2.5&width=640"),
        (OutputKind.THUMBNAIL, "t", "/p1/thumbnail.jpg"),
        (OutputKind.STORYBOARD, "s", "/p1/storyboard.vtt"),
    ],
)
def test_a_token_is_for_one_kind_of_output_and_holds_the_query(
    account: Provider, kind: OutputKind, audience: str, path: str
) -> None:
    until = datetime(2100, 1, 1, tzinfo=UTC)

    signed = urlsplit(account.sign(f"https://image.mux.com{path}", kind, until))

    [token] = parse_qs(signed.query)["token"]
    claims = jwt.decode(token, signing_key().public_key(), algorithms=["RS256"], audience=audience)
    query = {"time": "2.5", "width": "640"} if "?" in path else {}
    base = {"sub": "p1", "aud": audience, "exp": int(until.timestamp()), "kid": KEY_ID}
    assert claims == {**base, **query}
    assert jwt.get_unverified_header(token)["kid"] == KEY_ID
    assert signed.query == f"token={token}"
    assert signed.path == path.partition("?")[0]


def test_an_account_without_a_signing_key_takes_no_signed_playback(
    mux: FakeMux, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = {"SIGNING_KEY_ID": "", "SIGNING_PRIVATE_KEY": ""}
    with account_at(mux, monkeypatch, **unset) as account:
        assert not account.capabilities.signed_playback
        with pytest.raises(NotImplementedError):
            account.sign("https://stream.mux.com/p1.m3u8", OutputKind.MANIFEST, mux.now())


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"TOKEN_ID": ""}, "KHRONIKA_HOUSE_TOKEN_ID"),
        ({"SIGNING_KEY_ID": ""}, "go together"),
        ({"SIGNING_PRIVATE_KEY": "bm8ga2V5"}, "KHRONIKA_HOUSE_SIGNING_PRIVATE_KEY"),
        ({"SIGNING_PRIVATE_KEY": "not base64!"}, "KHRONIKA_HOUSE_SIGNING_PRIVATE_KEY"),
        ({"WEBHOOK_SECRETS": "two words"}, "KHRONIKA_HOUSE_WEBHOOK_SECRETS"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_not_shown(
    mux: FakeMux, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    with (
        pytest.raises(SettingsInvalid, match=named) as refused,
        account_at(mux, monkeypatch, **variables),
    ):
        pass
    shown = str(refused.value)
    assert not any(value in shown for value in variables.values() if value)


def test_the_pace_is_the_published_one(account: Provider) -> None:
    rates = account.capabilities.pace

    assert (rates[Verb.WRITE].per_sec, rates[Verb.READ].per_sec) == (1, 5)
