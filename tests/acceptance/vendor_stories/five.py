"""The five stories at one vendor, whose part a fake of its published contract plays."""

import json
from collections.abc import Callable, Sequence

import requests

from pipeline.domain.failures import FAILURES
from pipeline.domain.values import Phase
from tests.acceptance import page
from tests.acceptance.account import tell_chronicle, tell_who_sees
from tests.acceptance.exchanges import Exchange
from tests.acceptance.stage import Video
from tests.acceptance.stories.success import claim_completed
from tests.acceptance.telling import Telling
from tests.acceptance.vendor_stage import VendorStage

PROVES = (
    "The vendor's part is played by a **fake of its published contract**, a server on this "
    "machine. This page shows what our side does with answers and callbacks as they are "
    "documented, and nothing of the vendor's own service, its network or its delays. Everything "
    "else is the product as it runs: its processes, its database, its broker."
)
VIEWED = ("manifest_url", "fallback_url", "poster_url")


def tell_all(at: VendorStage, telling: Telling) -> None:
    """Tell the five stories, each with a video of its own."""
    at.open()
    for title, tell in FIVE.items():
        telling.chapter(title)
        tell(at, telling)


def tell_success(at: VendorStage, telling: Telling) -> None:
    """Submit one video, let it play and let it be complete."""
    video, source = at.register("A video at a vendor")
    job = at.await_job(video)
    sent = at.move(job, Phase.RUNNING)
    if Phase.PLAYABLE in at.fake.phases:
        sent += at.move(job, Phase.PLAYABLE)
        plays = at.stage.await_asset(video, lambda asset: asset["playable"])
        found = (plays["status"], plays["fallback_url"])
        sentence = "It plays before it is complete: `processing`, playable, without its MP4."
        telling.claim(sentence, found == ("processing", None), found)
    sent += at.move(job, Phase.COMPLETED)
    asset = at.stage.await_end(video)
    claim_completed(telling, asset, attempt=1)
    _claim_viewed(telling, asset)
    _claim_one_job(at, telling, video, 1)
    telling.show("What the server of the source saw:", page.source_log(source.log))
    _tell_account(at, telling, video, sent)
    tell_who_sees(at.stage, telling, video)


def tell_terminal_failure(at: VendorStage, telling: Telling) -> None:
    """Let the vendor's job fail for good."""
    video, _ = at.register("A video that the vendor cannot read")
    _fail(at, telling, video)


def tell_transient_failure(at: VendorStage, telling: Telling) -> None:
    """Let the vendor lose a job, and complete the next."""
    video, _ = at.register("A video that the vendor loses")
    sent = at.move(at.await_job(video), Phase.CANCELLED)
    second = at.await_job(video, 2)
    retried = [row for row in at.stage.books.events(video.asset_id) if row.to_status == "retrying"]
    telling.claim(
        "The loss of its first job sends it to `retrying`, as `provider_failed`.",
        [row.detail["code"] for row in retried] == ["provider_failed"],
        [row.detail for row in retried],
    )
    sent += at.move(second, Phase.COMPLETED)
    claim_completed(telling, at.stage.await_end(video), attempt=2)
    _claim_one_job(at, telling, video, 2)
    _tell_account(at, telling, video, sent)


def tell_manual_retry(at: VendorStage, telling: Telling) -> None:
    """Let a job fail, and the owner try again."""
    video, _ = at.register("A video that its owner tries again")
    sent = _fail(at, telling, video)
    body = json.dumps({"post_id": str(video.post_id)}).encode()
    first, second = (
        at.stage.ask("POST", "/api/video-assets/retry", json_body=body) for _ in range(2)
    )
    answers = (first.status, second.status)
    telling.claim(
        "The owner's retry is answered 202, and a second one 409.", answers == (202, 409), answers
    )
    sent = at.move(at.await_job(video, 2), Phase.COMPLETED)
    claim_completed(telling, at.stage.await_end(video), attempt=2)
    _tell_account(at, telling, video, sent)


def tell_security(at: VendorStage, telling: Telling) -> None:
    """Send false, old and repeated callbacks about a job that completes."""
    video, _ = at.register("A video under attack at a vendor")
    job = at.await_job(video)
    at.vendors.move(at.stage.stack.environment, at.name, job.job_id, Phase.COMPLETED)
    [first, *rest] = at.fake.callbacks_for(job.job_id, Phase.COMPLETED)
    false = [each.callback for each in at.fake.forged(first)]
    old = [at.fake.stale(first)] if at.fake.signs_time else []
    refused = [at.send(each) for each in (*false, *old)]
    telling.claim(
        f"Each of the {len(refused)} callbacks with a false or missing signature"
        f"{', or an old one,' if old else ''} is answered 401 `signature_invalid`.",
        {(one.status, one.answer["code"]) for one in refused} == {(401, "signature_invalid")},
        [(one.status, one.answer) for one in refused],
    )
    taken = [at.send(each) for each in (first, *rest)]
    again = [at.send(each) for each in (first, at.fake.redelivered(first))]
    telling.claim(
        "The true one is stored. Repeated, and repeated with another time of the try, it is "
        "answered `duplicate`.",
        {one.answer["result"] for one in taken} == {"stored"}
        and {(one.status, one.answer["result"]) for one in again} == {(200, "duplicate")},
        [one.answer for one in (*taken, *again)],
    )
    claim_completed(telling, at.stage.await_end(video), attempt=1)
    audits = [row for one in refused for row in at.stage.books.audits_of(one.request_id)]
    reasons = [row.type for row in audits]
    sentence = "Each refusal left one audit row, `callback_rejected`."
    telling.claim(sentence, reasons == ["callback_rejected"] * len(refused), reasons)
    telling.show("The audit rows:", page.audits(audits), "One of the refused:")
    telling.show(page.exchange(refused[0]))
    _tell_account(at, telling, video, [*taken, *again])


FIVE: dict[str, Callable[[VendorStage, Telling], None]] = {
    "1. Success": tell_success,
    "2. Terminal failure": tell_terminal_failure,
    "3. Transient failure": tell_transient_failure,
    "4. Manual retry": tell_manual_retry,
    "5. Security": tell_security,
}


def _fail(at: VendorStage, telling: Telling, video: Video) -> Sequence[Exchange]:
    sent = at.move(at.await_job(video), Phase.FAILED)
    asset = at.stage.await_end(video)
    code = asset["error_code"]
    telling.claim(
        f"The asset is `failed` after one attempt, as `{code}`, and says what to do.",
        (asset["status"], asset["attempt"], asset["playable"]) == ("failed", 1, False)
        and asset["error_message"] == FAILURES[code].message,
        asset,
    )
    telling.claim("Nothing was published.", not at.stage.books.outputs(video.asset_id))
    _tell_account(at, telling, video, sent)
    return sent


def _claim_viewed(telling: Telling, asset: dict[str, str]) -> None:
    answers = {}
    for name in VIEWED:
        with requests.get(asset[name], timeout=30) as answer:
            answers[name] = answer.status_code
    sentence = "Its manifest, its MP4 and its poster are answered 200 to a viewer without a token."
    telling.claim(sentence, set(answers.values()) == {200}, answers)


def _claim_one_job(at: VendorStage, telling: Telling, video: Video, attempts: int) -> None:
    """The vendor's ledger has one job for each attempt."""
    ours = {row.id for row in at.stage.books.attempts(video.asset_id)}
    jobs = [job for job in at.fake.jobs.values() if job.attempt_id in ours]
    sentence = f"The vendor's ledger has one job for each of the {attempts} attempts."
    sentence = "The vendor's ledger has one job." if attempts == 1 else sentence
    telling.claim(sentence, len(jobs) == len(ours) == attempts, [job.job_id for job in jobs])


def _tell_account(
    at: VendorStage, telling: Telling, video: Video, sent: Sequence[Exchange]
) -> None:
    telling.videos.append(video)
    telling.show(
        f"Asset {page.code(video.asset_id)} of post {page.code(video.post_id)}. Its rows of "
        "`provider_attempts`:",
        page.attempts(at.stage.books.attempts(video.asset_id)),
    )
    if sent:
        shown = "The last callback that the vendor sent:"
        telling.show(shown, page.exchange(sent[-1]))
    else:
        telling.show("The vendor sends no callback of this: a poll found it.")
    tell_chronicle(at.stage, telling, video)
