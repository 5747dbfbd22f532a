"""The adapter of api.video: its requests, its words, its events and the choice of a poster."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from pipeline.domain.errors import (
    RefusedForNow,
    TerminalProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from pipeline.domain.values import (
    FOLLOWED_UP,
    CallbackEnvelope,
    JobRef,
    LookAtJob,
    Phase,
    Playback,
    ProviderStatus,
)
from pipeline.net.signatures import Rejection, SignatureRejected
from pipeline.providers.base import CallbackUnreadable, Provider
from tests.vendors.accounts import account_at, job_of, request_of
from tests.vendors.api_video import FakeApiVideo
from tests.vendors.contract import specification
from tests.vendors.fake import document, serving
from tests.webhook_vectors import GOOD

ID = UUID(int=7)
CHOSEN = {FOLLOWED_UP: ["poster"]}
EVENT = {
    "type": "video.encoding.quality.completed",
    "emittedAt": "2021-01-29T15:46:25.217Z",
    "videoId": "vi1",
    "liveStreamId": None,
    "encoding": "hls",
    "quality": "720p",
}


@pytest.fixture
def vendor() -> Iterator[FakeApiVideo]:
    fake = FakeApiVideo()
    with serving(fake):
        yield fake


@pytest.fixture
def account(vendor: FakeApiVideo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with account_at(vendor, monkeypatch) as opened:
        yield opened


def fetched(account: Provider, job: JobRef) -> ProviderStatus:
    status = account.fetch(job)
    assert status is not None
    return status


def ended(vendor: FakeApiVideo, account: Provider, *ends: str, playable: bool) -> ProviderStatus:
    """The report of a video whose qualities have these ends."""
    job = JobRef(ID, vendor.orphan().job_id, vendor.now())
    vendor.end(job.provider_job_id or "", *ends, playable=playable)
    return fetched(account, job)


def envelope(event: Any) -> CallbackEnvelope:
    return CallbackEnvelope({}, json.dumps(event).encode())


def example(path: str, method: str, status: str) -> Any:
    answer = specification("api_video")["paths"][path][method]["responses"][status]
    return answer["content"]["application/json"]["examples"]["response"]["value"]


def test_a_submission_carries_our_id_and_the_wish_for_an_mp4(
    vendor: FakeApiVideo, account: Provider
) -> None:
    request = request_of(title="  A walk ")

    submitted = account.submit(request)

    assert vendor.jobs[submitted.provider_job_id].spec == {
        "title": "A walk",
        "source": request.source_url,
        "public": True,
        "mp4Support": True,
        "metadata": [{"key": "external_id", "value": str(request.attempt_id)}],
    }


def test_a_video_without_a_title_has_our_id_for_one(
    vendor: FakeApiVideo, account: Provider
) -> None:
    request = request_of(title=" ")

    account.submit(request)

    assert vendor.job_of(request.attempt_id).spec["title"] == str(request.attempt_id)


def test_a_video_that_is_not_public_is_private(vendor: FakeApiVideo, account: Provider) -> None:
    request = request_of(playback=Playback.SIGNED)

    account.submit(request)

    assert vendor.job_of(request.attempt_id).spec["public"] is False
    assert not account.capabilities.signed_playback


def test_the_account_is_polled_because_no_event_tells_of_a_failure(account: Provider) -> None:
    assert account.capabilities.polls_first
    assert account.capabilities.poll_least_sec == 5


@pytest.mark.parametrize(
    ("ends", "phase", "encoded"),
    [
        ("", Phase.RUNNING, None),
        ("waiting waiting waiting", Phase.RUNNING, 0),
        ("failed encoding waiting", Phase.RUNNING, 0),
        ("failed failed failed", Phase.FAILED, 0),
        ("failed failed encoded", Phase.FAILED, 1),
        ("encoded encoding waiting", Phase.PLAYABLE, 1),
        ("encoded encoded encoding", Phase.PLAYABLE, 2),
        ("encoded encoding encoded", Phase.PLAYABLE, 2),
        ("encoded failed encoded", Phase.COMPLETED, 2),
        ("encoded encoded encoded", Phase.COMPLETED, 3),
        ("encoded encoded failed", Phase.FAILED, 2),
    ],
)
def test_the_ends_of_the_qualities_make_the_phase(
    vendor: FakeApiVideo, account: Provider, ends: str, phase: Phase, encoded: int | None
) -> None:
    playable = ends.startswith("encoded")

    status = ended(vendor, account, *ends.split(), playable=playable)

    assert status.phase is phase
    assert status.progress == (None if encoded is None else 100.0 * encoded / 3)
    assert (status.outputs is not None) is (phase in {Phase.PLAYABLE, Phase.COMPLETED})


def test_a_video_that_is_fetched_from_its_source_waits(
    vendor: FakeApiVideo, account: Provider
) -> None:
    job_id = vendor.orphan().job_id

    assert fetched(account, JobRef(ID, job_id, vendor.now())).phase is Phase.WAITING


def test_other_metadata_is_not_taken_for_our_id(vendor: FakeApiVideo, account: Provider) -> None:
    job = vendor.orphan()
    mixed = [{"key": "Author", "value": str(UUID(int=9))}, {"key": "external_id", "value": str(ID)}]
    job.spec = {**job.spec, "metadata": mixed}

    assert fetched(account, JobRef(ID, job.job_id, vendor.now())).attempt_id == ID


def test_the_fallback_is_named_when_the_mp4_is_encoded(
    vendor: FakeApiVideo, account: Provider
) -> None:
    early = ended(vendor, account, "encoded", "encoded", "encoding", playable=True).outputs
    late = ended(vendor, account, "encoded", "encoding", "encoded", playable=True).outputs

    assert early is not None
    assert early.fallback_url is None
    assert late is not None
    assert (late.fallback_url or "").endswith("/mp4/source.mp4")
    assert (late.width, late.height) == (320, 180)


def test_qualities_without_a_type_end_with_the_mp4_in_place(
    vendor: FakeApiVideo, account: Provider
) -> None:
    vendor.habits.add("untyped")

    under_way = ended(vendor, account, "encoded", "encoded", "encoding", playable=True)
    done = ended(vendor, account, "encoded", "encoded", "encoded", playable=True)

    assert (under_way.phase, done.phase) == (Phase.PLAYABLE, Phase.COMPLETED)
    assert done.outputs is not None
    assert done.outputs.fallback_url


def test_a_failure_of_every_quality_repeats_itself_and_one_of_the_mp4_may_not(
    vendor: FakeApiVideo, account: Provider
) -> None:
    every = ended(vendor, account, "failed", "failed", "failed", playable=False)
    mp4 = ended(vendor, account, "encoded", "encoded", "failed", playable=True)

    assert (every.error_code, every.retryable) == ("encode_failed", False)
    assert (mp4.error_message, mp4.retryable) == ("the MP4 failed", True)


def test_the_owners_poster_is_chosen_before_the_video_is_complete(
    vendor: FakeApiVideo, account: Provider
) -> None:
    request = request_of(poster_time_sec=3725.256)
    job = job_of(vendor, request, account.submit(request).provider_job_id)
    vendor.move(job.provider_job_id or "", Phase.WAITING)
    assert fetched(account, job).follow_up is None

    vendor.move(job.provider_job_id or "", Phase.COMPLETED)
    before = fetched(account, job)
    account.advance(job, "poster")
    after = fetched(account, JobRef(ID, job.provider_job_id, job.intended_at, CHOSEN, 3725.256))

    assert (before.phase, before.follow_up) == (Phase.PLAYABLE, "poster")
    assert before.outputs is not None
    assert before.outputs.poster_url is None
    assert vendor.jobs[job.provider_job_id or ""].facts["timecode"] == "01:02:05.26"
    assert (after.phase, after.follow_up) == (Phase.COMPLETED, None)
    assert after.outputs is not None
    assert after.outputs.poster_url


@pytest.mark.parametrize(
    ("time_sec", "timecode"),
    [
        (0, "00:00:00.00"),
        (1.5, "00:00:01.50"),
        (59.999, "00:01:00.00"),
        (3600, "01:00:00.00"),
        (86399.99, "23:59:59.99"),
    ],
)
def test_a_time_is_written_as_a_timecode(
    vendor: FakeApiVideo, account: Provider, time_sec: float, timecode: str
) -> None:
    job_id = vendor.orphan().job_id
    vendor.move(job_id, Phase.COMPLETED)

    account.advance(JobRef(ID, job_id, vendor.now(), poster_time_sec=time_sec), "poster")

    assert vendor.jobs[job_id].facts["timecode"] == timecode


def test_a_time_that_is_refused_leaves_the_vendors_poster(
    vendor: FakeApiVideo, account: Provider
) -> None:
    vendor.habits.add("refuses_poster")
    job = JobRef(ID, vendor.orphan().job_id, vendor.now(), poster_time_sec=1)

    account.advance(job, "poster")

    assert vendor.asked == [("poster", f"/videos/{job.provider_job_id}/thumbnail")]


def test_a_follow_up_call_that_is_not_answered_is_to_be_repeated(
    vendor: FakeApiVideo, account: Provider
) -> None:
    job = JobRef(ID, vendor.orphan().job_id, vendor.now(), poster_time_sec=1)
    vendor.script["poster"] = ["drop", "429 7"]

    with pytest.raises(TransientProviderError):
        account.advance(job, "poster")
    with pytest.raises(RefusedForNow) as refused:
        account.advance(job, "poster")
    assert refused.value.retry_after_sec == 7


def test_another_video_with_a_similar_id_is_not_taken_for_ours(
    vendor: FakeApiVideo, account: Provider
) -> None:
    others = {"data": [{"videoId": "vi1", "metadata": [{"key": "external_id", "value": str(ID)}]}]}
    request = request_of()
    vendor.script["list"] = [document(200, others)]

    assert account.find(job_of(vendor, request)) is None
    assert f"metadata%5Bexternal_id%5D={request.attempt_id}" in vendor.asked[0][1]


def test_the_end_of_the_window_is_no_wait_unless_the_call_is_refused(
    vendor: FakeApiVideo, account: Provider
) -> None:
    """api.video says on every answer how many seconds its window has left."""
    headers = {"X-RateLimit-Retry-After": "42"}
    errors = []
    for status in (400, 500, 429):
        vendor.script["submit"] = [document(status, {"title": "no"}, headers)]
        with pytest.raises((TerminalProviderError, UnknownOutcome, RefusedForNow)) as refused:
            account.submit(request_of())
        errors.append(refused.value.retry_after_sec)

    assert errors == [None, None, 42]


def test_a_refusal_keeps_the_vendors_words(vendor: FakeApiVideo, account: Provider) -> None:
    refusal = example_of_refusal()
    vendor.script["submit"] = [document(400, refusal)]

    with pytest.raises(TerminalProviderError) as refused:
        account.submit(request_of())

    assert str(refused.value).startswith("This attribute is required.; title; title: This")


def example_of_refusal() -> Any:
    answer = specification("api_video")["paths"]["/videos"]["post"]["responses"]["400"]
    return answer["content"]["application/json"]["examples"]["Arttribute required"]["value"]


def test_the_published_examples_are_read(vendor: FakeApiVideo, account: Provider) -> None:
    vendor.script["get"] = [document(200, example("/videos/{videoId}", "get", "200"))]
    vendor.script["status"] = [document(200, example("/videos/{videoId}/status", "get", "200"))]
    vendor.script["list"] = [document(200, example("/videos", "get", "200"))]
    vendor.script["submit"] = [document(201, example("/videos", "post", "201"))]

    status = fetched(account, JobRef(ID, "vi4blUQJFrYWbaG44NChkH27", vendor.now()))
    listed = list(account.list_since(datetime(2019, 1, 1, tzinfo=UTC)))

    assert (status.phase, status.attempt_id) == (Phase.PLAYABLE, None)
    assert len(listed) == 3
    assert account.submit(request_of()).provider_job_id == "vi4blUQJFrYWbaG44NChkH27"


def test_a_list_without_an_end_is_given_up(vendor: FakeApiVideo, account: Provider) -> None:
    page = {"data": [], "pagination": {"pagesTotal": 10**6}}
    vendor.script["list"] = [document(200, page) for _ in range(60)]

    with pytest.raises(TransientProviderError, match="does not end"):
        account.find(job_of(vendor, request_of()))


def test_jobs_older_than_the_instant_are_not_listed(
    vendor: FakeApiVideo, account: Provider
) -> None:
    old, new = vendor.orphan(), vendor.orphan()
    old.created_at -= timedelta(hours=2)

    listed = account.list_since(vendor.now() - timedelta(hours=1))

    assert [job.provider_job_id for job in listed] == [new.job_id]


def test_a_video_that_is_deleted_between_two_questions_is_gone(
    vendor: FakeApiVideo, account: Provider
) -> None:
    vendor.script["status"] = ["404"]

    assert account.fetch(JobRef(ID, vendor.orphan().job_id, vendor.now())) is None


def test_an_event_is_a_reason_to_look(account: Provider) -> None:
    read = account.read_callback(envelope(EVENT))

    assert read == LookAtJob("vi1", None, "video.encoding.quality.completed hls 720p")


@pytest.mark.parametrize("type_", ["video.source.recorded", "live-stream.broadcast.ended", "new"])
def test_other_events_are_not_used(account: Provider, type_: str) -> None:
    assert account.read_callback(envelope({**EVENT, "type": type_})) is None


@pytest.mark.parametrize(
    "event",
    [{}, [], 7, {**EVENT, "videoId": None}, {**EVENT, "videoId": "../x"}, {"videoId": "vi1"}],
    ids=range(6),
)
def test_a_body_that_is_no_event_is_unreadable(account: Provider, event: Any) -> None:
    with pytest.raises(CallbackUnreadable):
        account.read_callback(envelope(event))


def test_the_published_signature_is_valid_and_names_the_event(account: Provider) -> None:
    vector = GOOD["api_video"]
    sent = CallbackEnvelope(vector.headers, vector.body)

    signed = account.verify_callback(sent, [vector.secret], vector.now)

    name = "video.encoding.quality.completed:vi0000000000000000000000:hls:720p"
    assert (signed.event_id, signed.signed_at) == (name, None)
    with pytest.raises(SignatureRejected) as refused:
        account.verify_callback(sent, ["sig_sec_1"], vector.now)
    assert refused.value.reason is Rejection.BAD_SIGNATURE


def test_a_signed_body_that_is_no_event_has_an_id_of_its_own(
    vendor: FakeApiVideo, account: Provider
) -> None:
    for body in (b"{}", b"no json"):
        sent = vendor.signed_by(vendor._signed({})._replace(body=body), vendor.secret)
        signed = account.verify_callback(
            CallbackEnvelope(sent.headers, sent.body), [vendor.secret], vendor.now()
        )
        assert signed.event_id.startswith("sha256:")


def test_qualities_are_different_events(vendor: FakeApiVideo, account: Provider) -> None:
    job_id = vendor.orphan().job_id

    ids = {
        account.verify_callback(
            CallbackEnvelope(each.headers, each.body), [vendor.secret], vendor.now()
        ).event_id
        for each in vendor.callbacks_for(job_id, Phase.COMPLETED)
    }

    assert len(ids) == 3
