"""The adapter of Cloudflare Stream: its requests, its words, its MP4, its tokens and callbacks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests

from pipeline.domain.errors import TerminalProviderError, TransientProviderError, UnknownOutcome
from pipeline.domain.values import (
    CallbackEnvelope,
    JobRef,
    LookAtJob,
    Phase,
    Playback,
    ProviderStatus,
)
from pipeline.providers.base import CallbackUnreadable, OutputKind, Provider
from pipeline.runtime.filed_settings import SettingsInvalid
from tests.vendors.accounts import account_at, job_of, request_of
from tests.vendors.cloudflare_stream import ACCOUNT_ID, KEY_ID, FakeCloudflareStream
from tests.vendors.fake import FakeCallback, document, serving
from tests.vendors.mux import signing_key
from tests.webhook_vectors import PUBLISHED, Published

DAY = timedelta(days=1)


@pytest.fixture
def stream() -> Iterator[FakeCloudflareStream]:
    fake = FakeCloudflareStream()
    with serving(fake):
        yield fake


@pytest.fixture
def account(stream: FakeCloudflareStream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with account_at(stream, monkeypatch) as opened:
        yield opened


@pytest.fixture
def job(stream: FakeCloudflareStream, account: Provider) -> JobRef:
    request = request_of(poster_time_sec=1.5)
    return job_of(stream, request, account.submit(request).provider_job_id)


def fetched(account: Provider, job: JobRef) -> ProviderStatus:
    status = account.fetch(job)
    assert status is not None
    return status


def moved(stream: FakeCloudflareStream, job: JobRef, phase: Phase) -> None:
    assert job.provider_job_id is not None
    stream.move(job.provider_job_id, phase)


def read(account: Provider, callback: FakeCallback) -> object:
    return account.read_callback(CallbackEnvelope(callback.headers, callback.body))


def verified(
    account: Provider, stream: FakeCloudflareStream, sent: FakeCallback
) -> tuple[Any, Any]:
    envelope = CallbackEnvelope(sent.headers, sent.body)
    signed = account.verify_callback(envelope, [stream.secret], stream.now())
    return signed.event_id, signed.digest


@pytest.mark.parametrize("playback", Playback)
def test_a_submission_carries_our_id_twice_and_the_policy(
    stream: FakeCloudflareStream, account: Provider, playback: Playback
) -> None:
    request = request_of(playback=playback)

    submitted = account.submit(request)

    ours = str(request.attempt_id)
    assert stream.jobs[submitted.provider_job_id].spec == {
        "input": request.source_url,
        "meta": {"name": ours},
        "creator": ours,
        "requireSignedURLs": playback is Playback.SIGNED,
    }
    assert submitted.provider_request_id


def test_the_mp4_is_asked_for_when_the_video_plays_and_until_it_is_under_way(
    stream: FakeCloudflareStream, account: Provider, job: JobRef
) -> None:
    moved(stream, job, Phase.RUNNING)
    assert (fetched(account, job).phase, fetched(account, job).follow_up) == (Phase.RUNNING, None)

    moved(stream, job, Phase.PLAYABLE)
    plays = fetched(account, job)
    assert (plays.phase, plays.follow_up) == (Phase.PLAYABLE, "downloads")
    assert plays.outputs is not None
    assert plays.outputs.fallback_url is None
    account.advance(job, "downloads")
    waits = fetched(account, job)
    assert (waits.phase, waits.follow_up) == (Phase.PLAYABLE, None)

    moved(stream, job, Phase.COMPLETED)
    done = fetched(account, job)
    assert done.phase is Phase.COMPLETED
    assert done.outputs is not None
    assert done.outputs.fallback_url == (
        f"{stream.media_url}/{job.provider_job_id}/downloads/default.mp4"
    )


def test_a_video_that_is_ready_at_39_percent_plays_and_is_not_complete(
    stream: FakeCloudflareStream, account: Provider, job: JobRef
) -> None:
    stream.habits = {"ready_early"}
    moved(stream, job, Phase.PLAYABLE)
    mp4 = {"default": {"status": "ready", "percentComplete": 100, "url": "https://x.example/a.mp4"}}
    answer = {"success": True, "errors": [], "messages": [], "result": mp4}
    stream.script["get_mp4"] = [document(200, answer)]

    status = fetched(account, job)

    assert (status.phase, status.progress) == (Phase.PLAYABLE, 39)
    assert status.outputs is not None
    assert status.outputs.is_complete


def test_an_mp4_that_cannot_be_made_ends_the_job(
    stream: FakeCloudflareStream, account: Provider, job: JobRef
) -> None:
    stream.habits = {"mp4_fails"}
    moved(stream, job, Phase.COMPLETED)
    account.advance(job, "downloads")

    status = fetched(account, job)

    assert (status.phase, status.error_code, status.retryable) == (
        Phase.FAILED,
        "encode_failed",
        True,
    )
    assert status.outputs is None


def test_the_pictures_have_the_instant_that_was_chosen_and_the_shape_of_the_video(
    stream: FakeCloudflareStream, account: Provider, job: JobRef
) -> None:
    moved(stream, job, Phase.PLAYABLE)
    chosen = fetched(account, job).outputs
    left = fetched(account, JobRef(job.attempt_id, job.provider_job_id, job.intended_at)).outputs

    assert chosen is not None
    assert left is not None
    assert parse_qs(urlsplit(chosen.poster_url or "").query) == {
        "time": ["1.500s"],
        "height": ["180"],
        "width": ["320"],
    }
    assert parse_qs(urlsplit(left.poster_url or "").query)["time"] == ["1.320s"]
    assert (chosen.duration_sec, chosen.width, chosen.height) == (5.28, 320, 180)


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        ("ERR_NON_VIDEO", ("unsupported_media", False)),
        ("ERR_DURATION_EXCEED_CONSTRAINT", ("source_too_long", False)),
        ("ERR_DURATION_TOO_SHORT", ("source_too_short", False)),
        ("ERR_MALFORMED_VIDEO", ("source_corrupt", False)),
        ("ERR_FETCH_ORIGIN_ERROR", ("source_unreachable", True)),
        ("ERR_UNKNOWN", ("encode_failed", True)),
        ("ERR_OF_NEXT_YEAR", ("provider_failed", False)),
        ("", ("encode_failed", True)),
    ],
)
def test_an_error_is_told_in_our_words_by_poll_and_by_callback(
    stream: FakeCloudflareStream,
    account: Provider,
    job: JobRef,
    code: str,
    becomes: tuple[str, bool],
) -> None:
    assert job.provider_job_id is not None
    stream.end(job.provider_job_id, code, "Could not fetch https://x.example/a.mp4?token=secret")
    [callback] = stream.callbacks_for(job.provider_job_id, Phase.FAILED)
    stream.habits = {"old_names"}
    [as_shown] = stream.callbacks_for(job.provider_job_id, Phase.FAILED)

    for status in (fetched(account, job), read(account, callback), read(account, as_shown)):
        assert isinstance(status, ProviderStatus)
        assert status.phase is Phase.FAILED
        assert (status.error_code, status.retryable) == becomes
        assert status.attempt_id == job.attempt_id
        assert "https://x.example/a.mp4" in (status.error_message or "")
        assert "secret" not in (status.error_message or "")


def test_a_refusal_inside_an_answer_of_200_is_an_error_and_keeps_the_request_id(
    stream: FakeCloudflareStream, account: Provider, job: JobRef
) -> None:
    failed = {"success": False, "errors": [{"code": 10000, "message": "no"}], "result": None}
    stream.script["get"] = [document(200, failed, {"CF-Ray": "ray-1"})]
    stream.script["submit"] = [document(200, failed, {"CF-Ray": "ray-2"})]

    with pytest.raises(TransientProviderError, match="10000 no") as refused:
        account.fetch(job)
    assert refused.value.request_id == "ray-1"
    with pytest.raises(UnknownOutcome) as unknown:
        account.submit(request_of())
    assert unknown.value.request_id == "ray-2"


def test_a_source_that_is_too_large_is_refused_for_good(
    stream: FakeCloudflareStream, account: Provider
) -> None:
    stream.script["submit"] = ["413"]

    with pytest.raises(TerminalProviderError, match="scripted 413"):
        account.submit(request_of())


def test_a_video_that_is_ready_without_addresses_is_asked_for_again(
    stream: FakeCloudflareStream, account: Provider, job: JobRef
) -> None:
    moved(stream, job, Phase.PLAYABLE)
    video = stream.video(stream.jobs[job.provider_job_id or ""])
    answer = {"success": True, "errors": [], "result": {**video, "thumbnail": None}}
    stream.script["get"] = [document(200, answer)]

    with pytest.raises(TransientProviderError, match="address"):
        account.fetch(job)


def test_the_oldest_of_several_videos_with_our_name_is_the_job_and_all_are_deleted(
    stream: FakeCloudflareStream, account: Provider
) -> None:
    request = request_of()
    first, _ = account.submit(request), account.submit(request)
    unknown = job_of(stream, request)

    found = account.find(unknown)
    assert found is not None
    assert found.provider_job_id == first.provider_job_id

    account.cancel(unknown)
    assert stream.billed == []


def test_a_long_list_is_read_page_by_page_and_each_video_once(
    stream: FakeCloudflareStream, account: Provider
) -> None:
    for _ in range(1100):
        stream.orphan()

    listed = [job.provider_job_id for job in account.list_since(stream.now() - DAY)]

    assert sorted(listed) == sorted(stream.jobs)
    assert [call for call, _ in stream.asked] == ["list"] * 3


def test_a_video_that_is_ready_is_a_reason_to_look_and_one_of_another_origin_is_none(
    stream: FakeCloudflareStream, account: Provider, job: JobRef
) -> None:
    moved(stream, job, Phase.PLAYABLE)
    orphan = stream.orphan()
    stream.move(orphan.job_id, Phase.COMPLETED)
    [ready] = stream.callbacks_for(job.provider_job_id or "", Phase.PLAYABLE)
    [other] = stream.callbacks_for(orphan.job_id, Phase.COMPLETED)

    assert read(account, ready) == LookAtJob(job.provider_job_id or "", job.attempt_id, "ready")
    assert read(account, other) is None


def test_a_state_has_one_event_id_whose_digest_another_error_changes(
    stream: FakeCloudflareStream, account: Provider, job: JobRef
) -> None:
    stream.end(job.provider_job_id or "", "ERR_UNKNOWN")
    [first] = stream.callbacks_for(job.provider_job_id or "", Phase.FAILED)
    stream.jobs[job.provider_job_id or ""].facts["error"] = ("ERR_NON_VIDEO", "")
    [second] = stream.callbacks_for(job.provider_job_id or "", Phase.FAILED)
    stream.end(job.provider_job_id or "", "ERR_UNKNOWN")
    [later] = stream.callbacks_for(job.provider_job_id or "", Phase.FAILED)

    ids = [verified(account, stream, each) for each in (first, second, later)]

    assert ids[0][0] == ids[1][0] != ids[2][0]
    assert ids[0][1] != ids[1][1]


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"uid": "../x"}', b"\xff", b'{"uid": [1]}'])
def test_a_signed_body_that_is_no_video_is_unreadable_and_has_an_id(
    stream: FakeCloudflareStream, account: Provider, body: bytes
) -> None:
    sent = stream._sign(body, stream.secret)

    assert verified(account, stream, sent)[0].startswith("sha256:")
    with pytest.raises(CallbackUnreadable):
        read(account, sent)


@pytest.mark.parametrize(
    "vector", [each for each in PUBLISHED if each.scheme == "cloudflare_stream"], ids=repr
)
def test_a_published_signature_verifies_as_it_says(account: Provider, vector: Published) -> None:
    envelope = CallbackEnvelope(vector.headers, vector.body)
    if vector.expect == "ok":
        account.verify_callback(envelope, [vector.secret], vector.now)
    else:
        with pytest.raises(Exception, match=vector.expect):
            account.verify_callback(envelope, [vector.secret], vector.now)


@pytest.mark.parametrize("kind", OutputKind)
def test_a_token_stands_in_the_place_of_the_id_and_lasts_a_day_at_the_most(
    account: Provider, kind: OutputKind
) -> None:
    soon, late = (datetime.now(UTC).replace(microsecond=0) + each for each in (DAY / 2, DAY * 3))
    address = "https://customer-x.cloudflarestream.com/uid1/downloads/default.mp4?a=b"

    for until, ends_at in ((soon, soon), (late, None)):
        signed = account.sign(address, kind, until)
        assert signed == account.sign(address, kind, until)
        parts = urlsplit(signed)
        token, rest = parts.path.removeprefix("/").split("/", 1)
        assert (parts.netloc, rest, parts.query) == (
            "customer-x.cloudflarestream.com",
            "downloads/default.mp4",
            "a=b",
        )
        assert jwt.get_unverified_header(token)["kid"] == KEY_ID
        claims = jwt.decode(token, signing_key().public_key(), algorithms=["RS256"])
        assert (claims["sub"], claims["kid"]) == ("uid1", KEY_ID)
        assert claims.get("downloadable", False) is (kind is OutputKind.FALLBACK)
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        assert expires_at == (ends_at or expires_at)
        assert datetime.now(UTC) + DAY * 0.9 < expires_at + DAY / 2
        assert expires_at <= datetime.now(UTC) + DAY


def test_an_account_without_a_key_has_no_signed_playback(
    stream: FakeCloudflareStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = {"SIGNING_KEY_ID": "", "SIGNING_PRIVATE_KEY": ""}
    with account_at(stream, monkeypatch, **unset) as account:
        assert not account.capabilities.signed_playback
        with pytest.raises(NotImplementedError):
            account.sign("https://x.example/uid/a", OutputKind.MANIFEST, stream.now())


def test_the_pace_of_all_verbs_together_is_the_vendors(account: Provider) -> None:
    assert sum(rate.per_sec for rate in account.capabilities.pace.values()) == 1200 / 300
    assert account.capabilities.max_jobs == 120


def test_its_own_hosts_are_trusted_and_an_account_may_add_others(
    stream: FakeCloudflareStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with account_at(stream, monkeypatch, OUTPUT_HOSTS="video.example.com") as account:
        hosts = {"*.cloudflarestream.com", "video.example.com"}
        assert account.trust.output_hosts == hosts
        assert account.documents_for(CallbackEnvelope({}, b"")) == ()


@pytest.mark.parametrize(
    "wrong", [{"ACCOUNT_ID": ACCOUNT_ID.upper()}, {"API_URL": "ftp://x"}], ids=["id", "url"]
)
def test_wrong_settings_stop_the_start(
    stream: FakeCloudflareStream, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    with (
        pytest.raises(SettingsInvalid, match=next(iter(wrong))),
        account_at(stream, monkeypatch, **wrong),
    ):
        pass


def test_the_fake_sees_a_request_that_violates_the_contract(stream: FakeCloudflareStream) -> None:
    wrong = (
        {"url": "https://x.example", "input": "https://x.example"},
        {"inputs": "https://x.example"},
        {"input": "https://x.example", "creator": "c" * 65},
        {"input": "https://x.example", "requireSignedURLs": "yes"},
    )
    url = f"{stream.url}/client/v4/accounts/{ACCOUNT_ID}/stream"
    for body in wrong:
        assert requests.post(f"{url}/copy", json=body, timeout=5).status_code == 500
    assert requests.get(url, params={"video_names": "x"}, timeout=5).status_code == 500

    assert len(stream.violations) == 5
    stream.violations.clear()
