"""One suite over every adapter, at its own surface, with its vendor faked at the socket.

It asserts the words of the Protocol that the pipeline relies on, and nothing of one vendor. A case
that a vendor has no counterpart of is skipped, and the table at the end shows it.
"""

import os
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import requests

from pipeline.content.gate import GateVerdict, check_outputs
from pipeline.domain.decide import GateResult
from pipeline.domain.errors import (
    AccountProblem,
    RefusedForNow,
    TransientProviderError,
    UnknownOutcome,
)
from pipeline.domain.failures import FAILURES
from pipeline.domain.values import (
    ADDRESS_FIELDS,
    FOLLOWED_UP,
    CallbackEnvelope,
    Caption,
    JobRef,
    LookAtJob,
    Phase,
    Playback,
    ProviderStatus,
    SubmitRequest,
)
from pipeline.media.tools import locate_tools
from pipeline.net.fetch import GuardedFetcher
from pipeline.net.fetch_policy import FetchPolicy
from pipeline.net.origins import read_allowed_origin
from pipeline.net.signatures import SignatureRejected
from pipeline.providers.base import CallbackUnreadable, OutputKind, Provider
from pipeline.providers.registry import adapter_names
from pipeline.providers.vendor_clocks import reading_clocks
from pipeline.services import Services
from tests.contract.providers.conftest import ADAPTERS
from tests.vendors.accounts import account_at, fake_of, job_of, request_of
from tests.vendors.fake import FakeCallback, FakeVendor, serving
from tests.webhook_vectors import PUBLISHED, Published

MINUTE = timedelta(minutes=1)
NEWER = "whsec_bmV3ZXItc2VjcmV0LW9mLXRoZS1hY2NvdW50LTAwMDI="
"""A secret that every adapter takes."""
MALFORMED = (
    "not json",
    "",
    "null",
    "7",
    '"text"',
    "[]",
    "[7]",
    "{}",
    '{"data": 7}',
    '{"data": [7]}',
    '{"data": {"id": 7}}',
    '{"data": {"id": "../../x", "status": "ready"}}',
    '{"success": true, "result": {"uid": 7}}',
    '{"success": true, "result": [7], "errors": 7}',
    '{"job": 7}',
    '{"job": {"id": 7, "status": "NEW_WORD"}}',
    '{"videoId": 7, "encoding": 7, "ingest": []}',
    '{"id": 7, "status": "completed"}',
    "[" * 5000,
)


def submitted(
    vendor: FakeVendor, account: Provider, request: SubmitRequest | None = None
) -> JobRef:
    """The reference of a job that the vendor has accepted."""
    request = request or request_of(poster_time_sec=1.5)
    answer = account.submit(request)
    return job_of(vendor, request, answer.provider_job_id)


def state_of(account: Provider, job: JobRef) -> ProviderStatus:
    """The state of a job after every follow-up call that it asks for; each is made twice."""
    for _ in range(3):
        status = account.fetch(job)
        assert status is not None
        if status.follow_up is None:
            return status
        account.advance(job, status.follow_up)
        account.advance(job, status.follow_up)
        made = [*job.vendor.get(FOLLOWED_UP, ()), status.follow_up]
        job = replace(job, vendor={**job.vendor, **status.vendor, FOLLOWED_UP: made})
    raise AssertionError("it asks for follow-up calls for ever")


def envelope(callback: FakeCallback) -> CallbackEnvelope:
    return CallbackEnvelope(callback.headers, callback.body, callback.query)


def verified(vendor: FakeVendor, account: Provider, callback: FakeCallback) -> tuple[str, str]:
    """The id and the digest of a callback with a valid signature."""
    signed = account.verify_callback(envelope(callback), [vendor.secret], vendor.now())
    return signed.event_id, signed.digest or str(callback.body)


def callbacks(vendor: FakeVendor, account: Provider) -> tuple[JobRef, list[FakeCallback]]:
    """The callbacks of a job that completes."""
    job = submitted(vendor, account)
    assert job.provider_job_id is not None
    vendor.move(job.provider_job_id, Phase.COMPLETED)
    return job, vendor.callbacks_for(job.provider_job_id, Phase.COMPLETED)


def call(account: Provider, name: str, job: JobRef) -> object:
    """Make a call by the name of its endpoint at the vendor."""
    match name:
        case "submit":
            return account.submit(request_of())
        case "fetch":
            return account.fetch(job)
        case "find":
            return account.find(job)
        case "list":
            return list(account.list_since(job.intended_at))
        case _:
            return account.cancel(job)  # type: ignore[func-returns-value]  # None is an answer


def test_every_adapter_has_a_fake() -> None:
    # An adapter without one is held to nothing here.
    assert adapter_names() == ADAPTERS


CALLS = ("submit", "fetch", "find", "list", "cancel")


def scripted(vendor: FakeVendor, action: str) -> None:
    """Let every next call of the vendor's API be answered so, again and again."""
    for name in vendor.calls:
        vendor.script[name] = [action] * 5


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.RUNNING])
def test_a_job_under_way_has_no_outputs(
    vendor: FakeVendor, account: Provider, phase: Phase
) -> None:
    job = submitted(vendor, account)
    assert job.provider_job_id is not None
    vendor.move(job.provider_job_id, phase)

    status = state_of(account, job)

    assert status.phase in {Phase.WAITING, Phase.RUNNING}
    assert status.outputs is None
    assert status.progress is None or 0 <= status.progress <= 100
    assert (status.provider_job_id, status.attempt_id) == (job.provider_job_id, job.attempt_id)


def test_a_success_names_every_output(vendor: FakeVendor, account: Provider) -> None:
    job = submitted(vendor, account)
    assert job.provider_job_id is not None
    vendor.move(job.provider_job_id, Phase.COMPLETED)

    status = state_of(account, job)

    assert (status.phase, status.provider_job_id) == (Phase.COMPLETED, job.provider_job_id)
    assert status.outputs is not None
    assert status.outputs.is_complete
    assert vendor.job_of(job.attempt_id).job_id == job.provider_job_id


def test_a_failure_has_a_code_words_and_no_outputs(vendor: FakeVendor, account: Provider) -> None:
    job = submitted(vendor, account)
    assert job.provider_job_id is not None
    vendor.move(job.provider_job_id, Phase.FAILED)

    status = state_of(account, job)

    assert status.phase is Phase.FAILED
    assert status.error_code in FAILURES
    assert status.error_message
    assert not status.retryable
    assert status.outputs is None


def test_a_job_plays_before_it_is_complete(vendor: FakeVendor, account: Provider) -> None:
    if Phase.PLAYABLE not in vendor.phases:
        pytest.skip("it reports its outputs at once")
    job = submitted(vendor, account)
    assert job.provider_job_id is not None
    vendor.move(job.provider_job_id, Phase.PLAYABLE)

    status = state_of(account, job)

    assert status.phase is Phase.PLAYABLE
    assert status.outputs is not None
    assert status.outputs.fallback_url is None

    vendor.move(job.provider_job_id, Phase.COMPLETED)
    assert state_of(account, job).phase is Phase.COMPLETED


# 412 is the answer of a vendor to a change of a job that it still prepares.
@pytest.mark.parametrize("action", ["500", "503", "412", "lose"])
def test_a_transient_fault_of_a_question_passes(
    vendor: FakeVendor, account: Provider, action: str
) -> None:
    job = submitted(vendor, account)
    scripted(vendor, action)

    for name in ("fetch", "find", "cancel"):
        with pytest.raises(TransientProviderError):
            call(account, name, job)

    vendor.script.clear()
    assert account.fetch(job) is not None


def test_the_time_of_a_vendor_is_read_from_its_answer(
    vendor: FakeVendor, account: Provider
) -> None:
    with reading_clocks() as readings:
        account.find(job_of(vendor, request_of()))
        scripted(vendor, "401")
        with pytest.raises(AccountProblem):
            account.find(job_of(vendor, request_of()))

    assert len(readings) >= 2
    assert all(abs(apart_sec) < 60 for apart_sec in readings)


@pytest.mark.parametrize("action", ["drop", "lose", "500"])
def test_a_submission_without_an_answer_is_looked_up(
    vendor: FakeVendor, account: Provider, action: str
) -> None:
    request = request_of()
    vendor.script["submit"] = [action]

    with pytest.raises(UnknownOutcome):
        account.submit(request)

    found = account.find(job_of(vendor, request))
    assert (found is not None) is (action == "drop")
    if found is None:
        assert vendor.billed == []
        account.submit(request)
        found = account.find(job_of(vendor, request))
    assert found is not None
    assert found.provider_job_id == vendor.job_of(request.attempt_id).job_id


def test_a_job_is_found_behind_many_newer_ones(vendor: FakeVendor, account: Provider) -> None:
    job = submitted(vendor, account)
    for _ in range(230):
        vendor.orphan()

    found = account.find(job)

    assert found is not None
    assert found.provider_job_id == job.provider_job_id


@pytest.mark.parametrize("call_name", CALLS)
@pytest.mark.parametrize("wait_sec", [30, None])
def test_a_busy_vendor_is_asked_later(
    vendor: FakeVendor, account: Provider, wait_sec: int | None, call_name: str
) -> None:
    job = submitted(vendor, account)
    scripted(vendor, f"429 {wait_sec or ''}".strip())
    _needs_lists(vendor, call_name)

    with pytest.raises(RefusedForNow) as refused:
        call(account, call_name, job)

    assert refused.value.retry_after_sec == wait_sec
    assert refused.value.code == "provider_busy"
    assert len(vendor.jobs) == 1


@pytest.mark.parametrize("call_name", CALLS)
@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_account_is_no_fault_of_the_job(
    vendor: FakeVendor, account: Provider, status: int, call_name: str
) -> None:
    job = submitted(vendor, account)
    scripted(vendor, str(status))
    _needs_lists(vendor, call_name)

    with pytest.raises(AccountProblem):
        call(account, call_name, job)


def test_wrong_credentials_are_an_account_problem(
    vendor: FakeVendor, account: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor, "authorised", lambda: False)

    with pytest.raises(AccountProblem):
        account.submit(request_of())


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_an_answer_that_follows_no_documentation_is_an_error_of_the_right_kind(
    vendor: FakeVendor, account: Provider, body: str
) -> None:
    job = submitted(vendor, account)
    scripted(vendor, f"body {body}")

    if not account.capabilities.idempotent_submit:
        with pytest.raises(UnknownOutcome):
            account.submit(request_of())
    for name in ("fetch", "find"):
        with pytest.raises(TransientProviderError):
            call(account, name, job)
    for name in ("list", "cancel"):
        with suppress(TransientProviderError):
            call(account, name, job)


def test_a_cancelled_job_is_gone_and_bills_no_more(vendor: FakeVendor, account: Provider) -> None:
    job = submitted(vendor, account)

    account.cancel(job)

    assert vendor.billed == []
    status = account.fetch(job)
    assert status is None or status.phase is Phase.CANCELLED


def test_a_completed_job_is_deleted_with_its_outputs(vendor: FakeVendor, account: Provider) -> None:
    job = submitted(vendor, account)
    assert job.provider_job_id is not None
    vendor.move(job.provider_job_id, Phase.COMPLETED)

    account.cancel(job)
    account.cancel(job)

    if not account.capabilities.writes_to_our_storage:  # the purge removes the files there
        assert vendor.billed == []
        assert account.fetch(job) is None


def test_a_job_may_be_cancelled_twice(vendor: FakeVendor, account: Provider) -> None:
    job = submitted(vendor, account)

    account.cancel(job)
    account.cancel(job)

    assert vendor.billed == []


def test_a_job_is_cancelled_by_our_id_alone(vendor: FakeVendor, account: Provider) -> None:
    job = submitted(vendor, account)

    account.cancel(JobRef(job.attempt_id, None, job.intended_at))

    assert vendor.billed == []


def test_a_job_that_never_was_counts_as_cancelled(vendor: FakeVendor, account: Provider) -> None:
    request = request_of()

    account.cancel(job_of(vendor, request))
    account.cancel(job_of(vendor, request, str(request.attempt_id)))

    assert vendor.jobs == {}


def test_an_unknown_job_is_none(vendor: FakeVendor, account: Provider) -> None:
    request = request_of()

    assert account.find(job_of(vendor, request)) is None
    assert account.fetch(job_of(vendor, request, str(request.attempt_id))) is None


def test_a_job_made_outside_is_listed(vendor: FakeVendor, account: Provider) -> None:
    _needs_lists(vendor, "list")
    ours = submitted(vendor, account)
    orphan = vendor.orphan()

    listed = {job.provider_job_id: job for job in account.list_since(ours.intended_at - MINUTE)}

    assert listed.keys() == {ours.provider_job_id, orphan.job_id}
    assert listed[orphan.job_id].attempt_id is None
    assert listed[ours.provider_job_id or ""].attempt_id == ours.attempt_id
    assert list(account.list_since(vendor.now() + MINUTE)) == []


def test_a_cancelled_job_is_not_listed_or_is_over(vendor: FakeVendor, account: Provider) -> None:
    _needs_lists(vendor, "list")
    job = submitted(vendor, account)
    live = submitted(vendor, account)
    account.cancel(job)

    listed = account.list_since(job.intended_at - MINUTE)

    assert [each.provider_job_id for each in listed if not each.is_over] == [live.provider_job_id]


def test_a_list_is_read_to_its_end(
    vendor: FakeVendor, account: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    _needs_lists(vendor, "list")
    module = sys.modules[type(account).__module__]
    for bound in ("MOST_PAGES", "MAX_PAGES"):  # those of a look-up
        monkeypatch.setattr(module, bound, 1, raising=False)
    made = {vendor.orphan().job_id for _ in range(230)}

    listed = account.list_since(vendor.now() - MINUTE)

    assert {each.provider_job_id for each in listed} == made


def test_a_callback_names_its_job(vendor: FakeVendor, account: Provider) -> None:
    job, sent = callbacks(vendor, account)

    read = [account.read_callback(envelope(each)) for each in sent]

    told = [each for each in read if isinstance(each, ProviderStatus | LookAtJob)]
    assert told
    for each in told:
        assert each.provider_job_id == job.provider_job_id
        assert each.attempt_id in {None, job.attempt_id}
        is_end = isinstance(each, LookAtJob) or each.phase in {Phase.COMPLETED, Phase.PLAYABLE}
        assert is_end


def test_each_event_has_an_id_of_its_own(vendor: FakeVendor, account: Provider) -> None:
    _, sent = callbacks(vendor, account)
    _, others = callbacks(vendor, account)

    ids = [verified(vendor, account, each)[0] for each in (*sent, *others)]

    assert len(set(ids)) == len(ids)
    assert all(each.isascii() and 0 < len(each) <= 255 for each in ids)


def test_a_duplicate_after_an_answer_is_the_same_event(
    vendor: FakeVendor, account: Provider
) -> None:
    _, sent = callbacks(vendor, account)

    for each in sent:
        assert verified(vendor, account, each) == verified(vendor, account, each)
        assert account.read_callback(envelope(each)) == account.read_callback(envelope(each))


def test_a_redelivery_is_the_same_event(vendor: FakeVendor, account: Provider) -> None:
    _, sent = callbacks(vendor, account)

    for each in sent:
        again = vendor.redelivered(each)
        assert verified(vendor, account, again) == verified(vendor, account, each)
        assert account.read_callback(envelope(again)) == account.read_callback(envelope(each))


def test_events_in_any_order_end_no_job_that_goes_on(vendor: FakeVendor, account: Provider) -> None:
    job = submitted(vendor, account)
    assert job.provider_job_id is not None
    early: list[FakeCallback] = []
    for phase in (Phase.WAITING, Phase.RUNNING, Phase.PLAYABLE):
        if phase in vendor.phases:
            vendor.move(job.provider_job_id, phase)
            early += vendor.callbacks_for(job.provider_job_id, phase)
    vendor.move(job.provider_job_id, Phase.COMPLETED)
    late = vendor.callbacks_for(job.provider_job_id, Phase.COMPLETED)

    read = [account.read_callback(envelope(each)) for each in (*late, *reversed(early))]

    told = [each.phase for each in read if isinstance(each, ProviderStatus)]
    assert not {Phase.FAILED, Phase.CANCELLED} & set(told)
    assert state_of(account, job).phase is Phase.COMPLETED


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda each: f"{_signed_for(each)} {each.expect}")
def test_a_published_signature_is_judged_as_published(
    vector: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = fake_of(_signed_for(vector))
    sent = CallbackEnvelope(vector.headers, vector.body)
    with serving(vendor), account_at(vendor, monkeypatch) as account:
        if vector.expect != "ok":
            with pytest.raises(SignatureRejected) as refused:
                account.verify_callback(sent, [vector.secret], vector.now)
            assert refused.value.reason == vector.expect
            return
        # Some published bodies are no events, which is found after the signature.
        with suppress(CallbackUnreadable):
            account.verify_callback(sent, [vector.secret], vector.now)
        with pytest.raises(SignatureRejected):
            account.verify_callback(sent, [NEWER], vector.now)


def test_a_forged_callback_is_refused(vendor: FakeVendor, account: Provider) -> None:
    _, [first, *_] = callbacks(vendor, account)

    for forgery in vendor.forged(first):
        with pytest.raises(SignatureRejected) as refused:
            verified(vendor, account, forgery.callback)
        assert refused.value.reason is forgery.reason


def test_an_old_callback_is_refused(vendor: FakeVendor, account: Provider) -> None:
    if not vendor.signs_time:
        pytest.skip("it signs no time")
    _, [first, *_] = callbacks(vendor, account)

    with pytest.raises(SignatureRejected):
        verified(vendor, account, vendor.stale(first))


def test_the_previous_secret_is_valid_during_a_rotation(
    vendor: FakeVendor, account: Provider
) -> None:
    _, [first, *_] = callbacks(vendor, account)
    both = [NEWER, vendor.secret]

    for each in (first, vendor.signed_by(first, NEWER)):
        account.verify_callback(envelope(each), both, vendor.now())
    with pytest.raises(SignatureRejected):
        account.verify_callback(envelope(first), [NEWER], vendor.now())


def test_a_cap_reaches_the_vendor(vendor: FakeVendor, account: Provider) -> None:
    if not account.capabilities.caps:
        pytest.skip("it obeys no cap")

    for cap in sorted(account.capabilities.caps):
        job = submitted(vendor, account, request_of(max_profile=cap))
        assert vendor.cap_of(job.provider_job_id or "") is cap
    job = submitted(vendor, account)
    assert vendor.cap_of(job.provider_job_id or "") is None


def test_a_long_title_or_none_is_accepted(vendor: FakeVendor, account: Provider) -> None:
    for title in (None, "", "ü" * 3000):
        submitted(vendor, account, request_of(title=title))

    assert len(vendor.billed) == 3


@pytest.mark.parametrize("name", ADAPTERS)
def test_signed_playback_opens_every_output_and_only_to_a_right(
    name: str, vendor_outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = fake_of(name, vendor_outputs)
    with serving(vendor), account_at(vendor, monkeypatch) as account:
        if not account.capabilities.signed_playback or account.capabilities.writes_to_our_storage:
            with pytest.raises(NotImplementedError):
                account.sign("https://vendor.example/a", OutputKind.MANIFEST, vendor.now())
            pytest.skip("it signs no addresses")
        request = request_of(playback=Playback.SIGNED, poster_time_sec=1.5)
        job = submitted(vendor, account, request)
        vendor.move(job.provider_job_id or "", Phase.COMPLETED)
        outputs = state_of(account, job).outputs
        assert outputs is not None

        for field in ADDRESS_FIELDS:
            address = getattr(outputs, field)
            if address is None:
                continue
            kind = OutputKind(field.removesuffix("_url"))
            assert _status_of(address) in {401, 403}
            assert _status_of(account.sign(address, kind, vendor.now() + MINUTE)) == 200
            assert _status_of(account.sign(address, kind, vendor.now() - MINUTE)) in {401, 403}


@pytest.mark.parametrize("playback", list(Playback))
@pytest.mark.parametrize("habit", ["ts", "fmp4"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_the_gate_passes_the_outputs(
    name: str,
    habit: str,
    playback: Playback,
    *,
    vendor_outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor = fake_of(name, vendor_outputs)
    vendor.habits.add(habit)
    with serving(vendor), account_at(vendor, monkeypatch) as account:
        able = account.capabilities
        if able.writes_to_our_storage or (playback is Playback.SIGNED and not able.signed_playback):
            pytest.skip("it writes to our storage, or cannot restrict playback")
        job = submitted(vendor, account, request_of(playback=playback))
        vendor.move(job.provider_job_id or "", Phase.COMPLETED)
        outputs = state_of(account, job).outputs
        assert outputs is not None

        sign = account.sign if playback is Playback.SIGNED else None
        verdict = check_outputs(reader_of(account), outputs, expected_sec=2.0, sign=sign)

    assert verdict == GateVerdict(GateResult.PASSED)


@pytest.mark.parametrize("playback", list(Playback))
@pytest.mark.parametrize("habit", ["ts", "fmp4"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_captions_of_a_manifest_are_read_and_listed(
    name: str,
    habit: str,
    playback: Playback,
    *,
    vendor_outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor = fake_of(name, vendor_outputs)
    vendor.habits |= {habit, "captions"}
    with serving(vendor), account_at(vendor, monkeypatch) as account:
        able = account.capabilities
        if able.writes_to_our_storage or (playback is Playback.SIGNED and not able.signed_playback):
            pytest.skip("it makes no captions, or cannot restrict playback")
        job = submitted(vendor, account, request_of(playback=playback))
        vendor.move(job.provider_job_id or "", Phase.COMPLETED)
        outputs = state_of(account, job).outputs
        assert outputs is not None

        sign = account.sign if playback is Playback.SIGNED else None
        verdict = check_outputs(reader_of(account), outputs, expected_sec=2.0, sign=sign)

    assert verdict == GateVerdict(GateResult.PASSED, captions=(Caption("English", "en"),))


def reader_of(account: Provider) -> Services:
    """The services that the gate needs to read at the hosts of an account and nowhere else."""
    loopback = read_allowed_origin("http://127.0.0.1:*")
    policy = FetchPolicy(allow=(loopback,), hosts=account.trust.output_hosts)
    parts = SimpleNamespace(fetcher=GuardedFetcher(policy), tools=locate_tools(os.environ))
    return cast("Services", parts)


def _signed_for(vector: Published) -> str:
    """The adapter whose vendor signs so; our own transcoder does by Standard Webhooks."""
    return "selfhosted" if vector.scheme == "standard_webhooks" else vector.scheme


def _needs_lists(vendor: FakeVendor, call_name: str) -> None:
    if call_name == "list" and not vendor.lists:
        pytest.skip("it lists no jobs")


def _status_of(address: str) -> int:
    with requests.get(address, timeout=5) as answer:
        return answer.status_code
