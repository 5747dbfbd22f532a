"""Callbacks that must not count, against a video that one of them would end if it did."""

from collections.abc import Sequence
from copy import deepcopy

from tests import clips
from tests.acceptance import page
from tests.acceptance.account import tell_account
from tests.acceptance.sources import HOLD
from tests.acceptance.stage import Stage, Video
from tests.acceptance.stories.attacks import Attack, Target, forged, replayed, strayed
from tests.acceptance.stories.success import claim_completed
from tests.acceptance.telling import Story, Telling


def tell(stage: Stage, telling: Telling) -> None:
    """Attack a video while it is being processed; then let it complete."""
    source = stage.sources.offer(clips.widescreen(stage.folder, stage.tools), whole=[503, HOLD])
    video = stage.register(source.url, title="A video under attack")
    try:
        target = _target(stage, video)
        telling.chapter("Seven callbacks that must not count")
        telling.show(
            "The first attempt failed in passing; in the second the provider is held up in the "
            "middle of its download, so that the asset is `processing` while it is attacked. The "
            "forged bodies would fail it for good, if they counted.",
        )
        attacks = [
            *forged(target, telling),
            *replayed(target, telling),
            *strayed(target, telling),
        ]
        asset = stage.asset(video)
        telling.claim(
            "After all of them the asset is where it was: `processing`, attempt 2, no error.",
            (asset["status"], asset["attempt"], asset["error_code"]) == ("processing", 2, None),
            asset,
        )
    finally:
        source.release()
    _show(telling, attacks)
    telling.chapter("The video afterwards")
    claim_completed(telling, stage.await_end(video), attempt=2)
    _claim_nothing_but_ignored(stage, telling, video)
    tell_account(stage, telling, video)


def _target(stage: Stage, video: Video) -> Target:
    stage.await_attempt(video, 2)
    first, second = stage.books.attempts(video.asset_id)
    failed = stage.tap.await_callback(str(first.id), "job.failed")
    harm = deepcopy(failed.document["data"]["job"])
    error = {"code": "source_corrupt", "message": "so says the forger", "retryable": False}
    return Target(
        stage=stage,
        video=video,
        secret=stage.stack.environment["KHRONIKA_TRANSCODER_CALLBACK_SECRETS"].split(",")[0],
        failed=failed,
        harm=harm | {"id": str(second.id), "error": error},
    )


def _show(telling: Telling, attacks: Sequence[Attack]) -> None:
    telling.show(
        page.table(
            ("callback", "answer", "what it left"),
            [
                (attack.what, f"{attack.got.status} `{attack.verdict}`", attack.trace)
                for attack in attacks
            ],
        ),
    )
    for attack in attacks:
        telling.show(page.heading(attack.what.capitalize(), 3), page.exchange(attack.got))
        if attack.audits:
            telling.show("Its row of `audit_events`:", page.audits(attack.audits))
        if attack.events:
            telling.show("Its row of `video_processing_events`:", page.events(attack.events))
        if attack.deliveries:
            telling.show("Its row of `webhook_deliveries`:", page.deliveries(attack.deliveries))


def _claim_nothing_but_ignored(stage: Stage, telling: Telling, video: Video) -> None:
    types = [event["type"] for event in stage.events(video)]
    telling.claim(
        "Once the provider gets on, the asset completes; of the seven, its chronicle holds the one "
        "line that says a callback was ignored.",
        types.count("callback_ignored") == 1 and types[-1] == "completed",
        types,
    )


STORY = Story(
    name="5-security",
    title="5. Security: callbacks that do not count",
    proves=(
        "A callback that is forged, incomplete, late, repeated, changed, or about a job that is "
        "not the current one changes nothing about a video, even when it is rightly signed. Each "
        "gets the answer its sender can use, and each but a plain repetition leaves a row that "
        "says what was turned away and why."
    ),
    tell=tell,
)
