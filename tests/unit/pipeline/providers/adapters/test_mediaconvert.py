"""The adapter of MediaConvert: its jobs, its words, and its events by both ways."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from pipeline.content.object_urls import output_prefix, poster_prefix
from pipeline.content.ownership import AllowedOutputs, misplaced
from pipeline.domain.errors import (
    AccountProblem,
    TerminalProviderError,
    TransientProviderError,
    UnknownOutcome,
)
from pipeline.domain.values import (
    CallbackEnvelope,
    ConfirmSubscription,
    JobRef,
    Phase,
    Playback,
    Profile,
    ProviderStatus,
    SourceFacts,
)
from pipeline.net.fetch_policy import FetchPolicy
from pipeline.net.signatures import Rejection, SignatureRejected
from pipeline.providers.adapters.mediaconvert import ADAPTER
from pipeline.providers.adapters.mediaconvert.job_settings import job_settings, ladder_of
from pipeline.providers.base import CallbackUnreadable, Provider
from pipeline.runtime.filed_settings import SettingsInvalid
from tests.vendors.accounts import account_at, job_of, request_of
from tests.vendors.fake import FakeCallback, document, serving
from tests.vendors.mediaconvert import (
    CERTIFICATE_URL,
    DESTINATION,
    REGION,
    TOPIC,
    FakeMediaConvert,
    certificate,
)

UHD = SourceFacts(60, 3840, 2160, "mp4")
UPRIGHT = SourceFacts(60, 1080, 1920, "mp4")
ODD = SourceFacts(60, 1918, 803, "mp4")
BETWEEN = SourceFacts(60, 1440, 900, "mp4")
TINY = SourceFacts(60, 161, 121, "mp4")
HOUR_SEC = 3600


@pytest.fixture
def aws() -> Iterator[FakeMediaConvert]:
    fake = FakeMediaConvert()
    with serving(fake):
        yield fake


@pytest.fixture
def account(aws: FakeMediaConvert, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with account_at(aws, monkeypatch) as opened:
        yield opened


@pytest.fixture
def subscribed(aws: FakeMediaConvert, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """An account whose events come by SNS."""
    with account_at(aws, monkeypatch, SNS_TOPIC_ARN=TOPIC, WEBHOOK_SECRETS="") as opened:
        yield opened


@pytest.fixture
def job(aws: FakeMediaConvert, account: Provider) -> JobRef:
    request = request_of()
    return job_of(aws, request, account.submit(request).provider_job_id)


def ended(aws: FakeMediaConvert, job: JobRef, phase: Phase) -> str:
    assert job.provider_job_id is not None
    aws.move(job.provider_job_id, phase)
    return job.provider_job_id


def fetched(account: Provider, job: JobRef) -> ProviderStatus:
    status = account.fetch(job)
    assert status is not None
    return status


def envelope(
    callback: FakeCallback, documents: Mapping[str, bytes] | None = None
) -> CallbackEnvelope:
    known = {CERTIFICATE_URL: certificate()} if documents is None else documents
    return CallbackEnvelope(callback.headers, callback.body, documents=known)


def reason_against(aws: FakeMediaConvert, account: Provider, sent: CallbackEnvelope) -> Rejection:
    """The reason to refuse a callback."""
    with pytest.raises(SignatureRejected) as refused:
        account.verify_callback(sent, [aws.secret], aws.now())
    return refused.value.reason


def test_a_submission_is_a_job_with_our_token_and_our_id(
    aws: FakeMediaConvert, account: Provider
) -> None:
    request = request_of()

    submitted = account.submit(request)

    spec = aws.jobs[submitted.provider_job_id].spec
    ours, prefix = str(request.attempt_id), f"processed/a/{request.attempt_id}"
    assert spec["clientRequestToken"] == ours
    assert spec["userMetadata"] == {
        "attempt_id": ours,
        "manifest": f"{prefix}/main.m3u8",
        "fallback": f"{prefix}/fallback.mp4",
        "poster": f"posters/a/{ours}/poster.0000001.jpg",
    }
    assert spec["settings"]["inputs"][0]["fileInput"] == request.source_url
    assert submitted.provider_request_id


def test_every_output_goes_below_the_prefixes_of_the_request() -> None:
    request = request_of()

    groups = job_settings(request, f"{DESTINATION}/videos/")["OutputGroups"]

    kinds = ("HlsGroupSettings", "FileGroupSettings", "FileGroupSettings")
    destinations = [
        group["OutputGroupSettings"][kind]["Destination"]
        for group, kind in zip(groups, kinds, strict=True)
    ]
    assert destinations == [
        f"{DESTINATION}/videos/{request.output_prefix}/main",
        f"{DESTINATION}/videos/{request.output_prefix}/fallback",
        f"{DESTINATION}/videos/{request.poster_prefix}/poster",
    ]
    [mp4] = groups[1]["Outputs"]
    assert mp4["ContainerSettings"]["Mp4Settings"]["MoovPlacement"] == "PROGRESSIVE_DOWNLOAD"


@pytest.mark.parametrize(
    ("source", "cap", "sizes"),
    [
        (UHD, None, [(3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (854, 480)]),
        (UHD, Profile.P1080, [(1920, 1080), (1280, 720), (854, 480), (640, 360)]),
        (UPRIGHT, None, [(1080, 1920), (720, 1280), (480, 854), (360, 640), (240, 426)]),
        (UPRIGHT, Profile.P240, [(240, 426)]),
        (ODD, None, [(1918, 802), (1720, 720), (1146, 480), (860, 360), (574, 240)]),
        (BETWEEN, None, [(1440, 900), (1152, 720), (768, 480), (576, 360), (384, 240)]),
        (BETWEEN, Profile.P720, [(1152, 720), (768, 480)]),
        (TINY, None, [(160, 120)]),
        (TINY, Profile.P2160, [(160, 120)]),
    ],
    ids=[
        "uhd",
        "capped",
        "upright",
        "least",
        "odd",
        "between",
        "between capped",
        "tiny",
        "tiny capped",
    ],
)
def test_the_ladder_is_never_above_the_source_or_the_cap(
    source: SourceFacts, cap: Profile | None, sizes: list[tuple[int, int]]
) -> None:
    ladder = [(each.width, each.height) for each in ladder_of(source, cap)]

    assert ladder[: len(sizes)] == sizes
    assert all(width % 2 == height % 2 == 0 for width, height in ladder)
    assert max(map(min, ladder)) <= source.short_side


@pytest.mark.parametrize("source", [UHD, UPRIGHT, ODD, TINY], ids=["uhd", "upright", "odd", "tiny"])
@pytest.mark.parametrize("poster_time_sec", [None, 0.0, 59.5, 0.0004, 1e6])
def test_a_job_of_any_source_follows_the_services_own_model(
    aws: FakeMediaConvert, account: Provider, source: SourceFacts, poster_time_sec: float | None
) -> None:
    request = replace(request_of(poster_time_sec=poster_time_sec), source=source)

    spec = aws.jobs[account.submit(request).provider_job_id].spec

    sizes = [
        min(output["videoDescription"]["width"], output["videoDescription"]["height"])
        for group in spec["settings"]["outputGroups"]
        for output in group["outputs"]
    ]
    assert sizes[-1] == sizes[-2] == max(side for side in sizes if side <= 720)


def test_the_model_sees_a_wrong_word_a_wrong_number_and_an_unknown_member(
    aws: FakeMediaConvert,
) -> None:
    auth = {"Authorization": "AWS4-HMAC-SHA256 Credential=x"}
    wrong: tuple[dict[str, Any], ...] = (
        {"role": "r", "settings": {}, "statusUpdateInterval": "SECONDS_31"},
        {"role": "r", "settings": {"inputs": [{"inputScanType": 7}]}},
        {"role": "r", "settings": {}, "priority": 51},
        {"role": "r", "setting": {}},
        {"settings": {}},
    )
    for body in wrong:
        url = f"{aws.url}/2017-08-29/jobs"
        assert requests.post(url, json=body, headers=auth, timeout=5).status_code == 500

    assert len(aws.violations) == 5
    aws.violations.clear()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, (2, 1.32, "0000001")),
        (2.5, (2, 2.5, "0000001")),
        (0.0, (1, 0.001, "0000000")),
        (60, (2, 4.752, "0000001")),
    ],
)
def test_the_poster_is_the_frame_after_the_first_unless_it_is_the_first(
    chosen: float | None, expected: tuple[int, float, str], aws: FakeMediaConvert, account: Provider
) -> None:
    request = request_of(poster_time_sec=chosen)

    spec = aws.jobs[account.submit(request).provider_job_id].spec

    picture = spec["settings"]["outputGroups"][2]["outputs"][0]["videoDescription"]
    capture = picture["codecSettings"]["frameCaptureSettings"]
    step_sec = capture["framerateDenominator"] / capture["framerateNumerator"]
    number = spec["userMetadata"]["poster"].split(".")[1]
    assert (capture["maxCaptures"], step_sec, number) == expected


def test_a_completed_job_names_its_outputs_in_our_storage_by_poll_and_by_event(
    aws: FakeMediaConvert, account: Provider, job: JobRef
) -> None:
    job_id = ended(aws, job, Phase.COMPLETED)
    [callback] = aws.callbacks_for(job_id, Phase.COMPLETED)

    for status in (fetched(account, job), account.read_callback(envelope(callback))):
        assert isinstance(status, ProviderStatus)
        assert status.phase is Phase.COMPLETED
        outputs = status.outputs
        assert outputs is not None
        prefix = f"storage:processed/a/{job.attempt_id}"
        assert outputs.manifest_url == f"{prefix}/main.m3u8"
        assert outputs.fallback_url == f"{prefix}/fallback.mp4"
        assert outputs.poster_url == f"storage:posters/a/{job.attempt_id}/poster.0000001.jpg"
        assert (outputs.duration_sec, outputs.width, outputs.height) == (5.28, 320, 180)
        assert outputs.renditions == [{"profile": "180p", "width": 320, "height": 180}]


@pytest.mark.parametrize("playback", Playback)
def test_its_outputs_lie_where_those_of_the_attempt_may(
    aws: FakeMediaConvert, account: Provider, playback: Playback
) -> None:
    request = request_of(playback=playback)
    ids = (request.asset_id, request.attempt_id)
    places = (output_prefix(*ids, playback), poster_prefix(*ids, playback))
    ours = replace(request, output_prefix=places[0], poster_prefix=places[1])
    job = job_of(aws, ours, account.submit(ours).provider_job_id)
    ended(aws, job, Phase.COMPLETED)

    outputs = fetched(account, job).outputs

    assert outputs is not None
    allowed = AllowedOutputs(*ids, playback, account.trust.output_hosts)
    assert misplaced(outputs, allowed, FetchPolicy()) is None


def test_progress_comes_by_poll_and_by_event(
    aws: FakeMediaConvert, account: Provider, job: JobRef
) -> None:
    job_id = ended(aws, job, Phase.RUNNING)
    [callback] = aws.callbacks_for(job_id, Phase.RUNNING)

    for status in (fetched(account, job), account.read_callback(envelope(callback))):
        assert isinstance(status, ProviderStatus)
        assert (status.phase, status.progress) == (Phase.RUNNING, 39)


@pytest.mark.parametrize("status", ["INPUT_INFORMATION", "NEW_WARNING", "QUEUE_HOP", "NEXT_YEAR"])
def test_an_event_of_another_status_or_another_job_is_ignored(
    aws: FakeMediaConvert, account: Provider, job: JobRef, status: str
) -> None:
    orphan = aws.orphan()

    for event in (aws.event(job.provider_job_id or "", status), aws.event(orphan.job_id, "ERROR")):
        assert account.read_callback(envelope(aws.by_destination(event))) is None


@pytest.mark.parametrize(
    ("code", "becomes"),
    [
        (1010, ("source_unreachable", False)),
        (1020, ("no_video_stream", False)),
        (1030, ("undecodable", False)),
        (1040, ("provider_failed", False)),
        (1076, ("source_corrupt", False)),
        (1432, ("provider_refused", False)),
        (1507, ("insufficient_space", True)),
        (1999, ("encode_failed", True)),
        (3403, ("source_unreachable", False)),
        (3450, ("source_unreachable", True)),
        (4711, ("provider_failed", False)),
    ],
)
def test_an_error_is_told_in_our_words(
    aws: FakeMediaConvert, account: Provider, job: JobRef, code: int, becomes: tuple[str, bool]
) -> None:
    assert job.provider_job_id is not None
    aws.end(job.provider_job_id, code)
    [callback] = aws.callbacks_for(job.provider_job_id, Phase.FAILED)

    for status in (fetched(account, job), account.read_callback(envelope(callback))):
        assert isinstance(status, ProviderStatus)
        assert status.phase is Phase.FAILED
        assert (status.error_code, status.retryable) == becomes
        assert str(code) in (status.error_message or "")


def test_the_same_submission_within_a_minute_is_one_job_and_later_a_second_one(
    aws: FakeMediaConvert, account: Provider
) -> None:
    request = request_of()

    first, again = account.submit(request), account.submit(request)
    assert first.provider_job_id == again.provider_job_id
    assert len(aws.jobs) == 1
    aws.habits = {"forgets_tokens"}
    account.submit(request)
    assert len(aws.jobs) == 2
    assert not account.capabilities.idempotent_submit


def test_a_conflict_of_a_submission_is_looked_up(aws: FakeMediaConvert, account: Provider) -> None:
    aws.script["submit"] = ["409"]

    with pytest.raises(UnknownOutcome):
        account.submit(request_of())


@pytest.mark.parametrize("status", [400, 404])
def test_a_job_that_the_service_refuses_is_refused_for_good(
    aws: FakeMediaConvert, account: Provider, status: int
) -> None:
    aws.script["submit"] = [str(status)]

    with pytest.raises(TerminalProviderError, match=f"scripted {status}") as refused:
        account.submit(request_of())
    assert refused.value.request_id


def test_a_job_that_has_ended_counts_as_cancelled(
    aws: FakeMediaConvert, account: Provider, job: JobRef
) -> None:
    ended(aws, job, Phase.COMPLETED)

    account.cancel(job)

    assert [call for call, _ in aws.asked][-1] == "delete"
    assert fetched(account, job).phase is Phase.COMPLETED


def test_a_look_up_reads_the_list_no_further_than_the_call(
    aws: FakeMediaConvert, account: Provider
) -> None:
    for _ in range(100):
        aws.orphan().created_at -= timedelta(hours=2)
    missing = job_of(aws, request_of())

    assert account.find(missing) is None

    assert [call for call, _ in aws.asked] == ["list"]


def test_a_list_that_does_not_end_proves_no_absence(
    aws: FakeMediaConvert, account: Provider
) -> None:
    for _ in range(1001):
        aws.orphan()

    with pytest.raises(TransientProviderError, match="too many"):
        account.find(job_of(aws, request_of()))


def test_an_answer_about_a_job_without_the_places_of_its_outputs_is_asked_for_again(
    aws: FakeMediaConvert, account: Provider, job: JobRef
) -> None:
    bare: dict[str, Any] = {
        "id": job.provider_job_id,
        "status": "COMPLETE",
        "createdAt": 0,
        "userMetadata": {},
    }
    aws.script["get"] = [document(200, {"job": bare}, {"x-amzn-RequestId": "r1"})]

    with pytest.raises(TransientProviderError, match="unreadable") as refused:
        account.fetch(job)
    assert refused.value.request_id == "r1"


def test_a_service_that_is_not_reached_has_taken_no_job(
    aws: FakeMediaConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        account_at(aws, monkeypatch, ENDPOINT_URL="http://127.0.0.1:9") as account,
        pytest.raises(TransientProviderError),
    ):
        account.submit(request_of())


def test_a_machine_without_credentials_is_an_account_problem(
    aws: FakeMediaConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    unset = {"ACCESS_KEY_ID": "", "SECRET_ACCESS_KEY": ""}
    with account_at(aws, monkeypatch, **unset) as account, pytest.raises(AccountProblem):
        account.submit(request_of())


def test_a_queue_is_named_if_there_is_one(
    aws: FakeMediaConvert, account: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with account_at(aws, monkeypatch, QUEUE="videos") as queued:
        queued.submit(request_of())
    account.submit(request_of())

    assert [job.spec.get("queue") for job in aws.jobs.values()] == ["videos", None]


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_event_by_sns_is_verified_by_the_certificate_that_it_names(
    aws: FakeMediaConvert, subscribed: Provider, version: str
) -> None:
    job = subscribed.submit(request_of())
    sent = aws.by_sns(aws.event(job.provider_job_id, "ERROR"), version=version, Subject="a subject")

    assert subscribed.documents_for(envelope(sent)) == (CERTIFICATE_URL,)
    signed = subscribed.verify_callback(envelope(sent), [], aws.now())
    status = subscribed.read_callback(envelope(sent))

    assert signed.event_id == sent.headers["x-amz-sns-message-id"]
    assert signed.signed_at is not None
    assert isinstance(status, ProviderStatus)
    assert status.provider_job_id == job.provider_job_id


def test_an_event_by_sns_is_refused_without_its_certificate_or_from_another_topic(
    aws: FakeMediaConvert, subscribed: Provider
) -> None:
    mine = f"https://sns.{REGION}.amazonaws.com.evil.example/SimpleNotificationService-01.pem"
    other = aws.by_sns({}, TopicArn=f"{TOPIC}2")
    elsewhere = aws.by_sns({}, SigningCertURL=mine)
    old = aws.by_sns({}, age_sec=3 * HOUR_SEC)
    cases = (
        (envelope(aws.by_sns({}), {}), Rejection.DOCUMENTS_UNAVAILABLE),
        (envelope(other), Rejection.OTHER_TOPIC),
        (envelope(elsewhere, {mine: certificate()}), Rejection.BAD_SIGNATURE),
        (envelope(old), Rejection.STALE_TIMESTAMP),
    )

    assert [reason_against(aws, subscribed, sent) for sent, _ in cases] == [
        reason for _, reason in cases
    ]
    assert subscribed.documents_for(envelope(other)) == ()
    assert subscribed.documents_for(envelope(elsewhere)) == ()


def test_the_secret_header_is_no_way_around_the_signature_of_sns(
    aws: FakeMediaConvert, subscribed: Provider
) -> None:
    sent = aws.by_sns({})
    forged = sent._replace(headers={**sent.headers, "x-khronika-secret": aws.secret}, body=b"{}")

    assert reason_against(aws, subscribed, envelope(forged)) is Rejection.BAD_SIGNATURE


def test_a_subscription_is_to_be_confirmed_and_the_end_of_one_is_ignored(
    aws: FakeMediaConvert, subscribed: Provider
) -> None:
    asked = aws.subscription()
    over = aws.subscription(Type="UnsubscribeConfirmation")
    url = json.loads(asked.body)["SubscribeURL"]

    for sent in (asked, over):
        subscribed.verify_callback(envelope(sent), [], aws.now())
    assert subscribed.read_callback(envelope(asked)) == ConfirmSubscription(url)
    assert subscribed.read_callback(envelope(over)) is None
    assert subscribed.trust.document_hosts == {f"sns.{REGION}.amazonaws.com"}


@pytest.mark.parametrize("text", ["[]", "{}", '{"id": 7}', "\\ud800", '{"detail": {"jobId": 7}}'])
def test_a_verified_event_that_is_not_as_documented_is_unreadable(
    aws: FakeMediaConvert, account: Provider, subscribed: Provider, text: str
) -> None:
    plain = aws.by_destination({})._replace(body=text.encode())
    wrapped = aws.by_sns({}, Message=text)

    assert account.verify_callback(envelope(plain), [aws.secret], aws.now()).event_id
    for provider, sent in ((account, plain), (subscribed, wrapped)):
        with pytest.raises(CallbackUnreadable):
            provider.read_callback(envelope(sent))


@pytest.mark.parametrize(
    "wrong",
    [
        {"REGION": ""},
        {"ROLE": "MediaConvert"},
        {"DESTINATION": "https://bucket.example"},
        {"SNS_TOPIC_ARN": "videos"},
        {"SECRET_ACCESS_KEY": ""},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_settings_stop_the_start(
    aws: FakeMediaConvert, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    with (
        pytest.raises(SettingsInvalid, match=next(iter(wrong))),
        account_at(aws, monkeypatch, **wrong),
    ):
        pass


def test_a_secret_of_our_making_can_be_one() -> None:
    assert ADAPTER.secrets.make is not None
    ADAPTER.secrets.check(ADAPTER.secrets.make())
