"""A failure that its owner mends, and two impatient clicks."""

import json
import threading

from tests import clips
from tests.acceptance import page
from tests.acceptance.account import tell_account, tell_pictures
from tests.acceptance.exchanges import Exchange
from tests.acceptance.stage import STRANGER, Stage, Video
from tests.acceptance.stories.success import claim_completed
from tests.acceptance.telling import Story, Telling

RETRY = "/api/video-assets/retry"
CONFLICTS = frozenset({"not_failed", "status_changed"})
STEPS = [
    *("created", "claimed", "source_verified", "submitted", "failed", "retried"),
    *("claimed", "source_verified", "submitted", "completed"),
]


def tell(stage: Stage, telling: Telling) -> None:
    """Let the source be missing once, then retry twice at the same moment."""
    telling.chapter("The failure")
    source = stage.sources.offer(clips.film_rate(stage.folder, stage.tools), whole=[404])
    video = stage.register(source.url, title="A video that was moved and put back")
    failed = stage.await_end(video)
    telling.claim(
        "Attempt 1 fails the asset as `source_unreachable`, on the provider's `job.failed`.",
        (failed["status"], failed["error_code"], failed["attempt"])
        == ("failed", "source_unreachable", 1),
        failed,
    )
    telling.show(
        "The source is there when the worker samples it, gone when the provider downloads it, and "
        "there again afterwards. The asset after that:",
        page.document(failed),
    )
    telling.chapter("Two retries at once")
    _tell_strangers_retry(stage, telling, video)
    _tell_two_retries(stage, telling, video)
    telling.chapter("The end")
    asset = stage.await_end(video)
    claim_completed(telling, asset, attempt=2)
    types = [event["type"] for event in stage.events(video)]
    telling.claim(f"Its chronicle is {', '.join(STEPS)}: one retry.", types == STEPS, types)
    telling.show(
        "What the server of the source saw:",
        page.source_log(source.log),
        "The asset as its owner sees it:",
        page.document(asset),
    )
    tell_account(stage, telling, video)
    tell_pictures(stage, telling, video, "4-manual-retry")


def _tell_strangers_retry(stage: Stage, telling: Telling, video: Video) -> None:
    refused = _retry(stage, video, as_=STRANGER)
    telling.claim(
        "A stranger's retry is answered 404 and changes nothing.",
        refused.status == 404 and stage.asset(video)["status"] == "failed",
        refused.status,
    )


def _tell_two_retries(stage: Stage, telling: Telling, video: Video) -> None:
    spent = stage.books.asset(video.asset_id).failures
    both = _at_once(stage, video)
    won, lost = sorted(both, key=lambda one: one.status)
    telling.claim(
        "Before it one failure was spent of the budget, after it none.",
        (spent, stage.books.asset(video.asset_id).failures) == (1, 0),
        spent,
    )
    telling.claim(
        "Of two retries sent at the same moment one is answered 202 with the asset queued and its "
        "error gone.",
        (won.status, won.answer["status"], won.answer["error_code"]) == (202, "queued", None),
        [one.status for one in both],
    )
    telling.claim(
        "The other is answered 409, and told the state that the asset is in now.",
        lost.status == 409
        and lost.answer["code"] in CONFLICTS
        and lost.answer["current"]["status"] in {"queued", "processing"},
        lost.answer,
    )
    telling.show(
        "The owner sends `POST /api/video-assets/retry` twice, from two connections at once.",
        page.exchange(won),
        page.exchange(lost),
    )


def _at_once(stage: Stage, video: Video) -> list[Exchange]:
    """Two retries from two threads that wait for each other before they send."""
    gate, answers = threading.Barrier(2), list[Exchange]()

    def press() -> None:
        gate.wait()
        answers.append(_retry(stage, video))

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _retry(stage: Stage, video: Video, as_: str | None = None) -> Exchange:
    body = json.dumps({"post_id": str(video.post_id)}).encode()
    return stage.ask("POST", RETRY, as_=as_ or video.owner, json_body=body)


STORY = Story(
    name="4-manual-retry",
    title="4. Manual retry: a failed video is tried again by its owner",
    proves=(
        "After a terminal failure the owner can start the video over, once: of two retries at the "
        "same moment one wins and the other is told the state. The budget starts over, the history "
        "stays, and the new attempt completes."
    ),
    tell=tell,
)
