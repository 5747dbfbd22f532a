"""A source whose server is down when the provider comes for it, and back a moment later."""

from tests import clips
from tests.acceptance import page
from tests.acceptance.account import callbacks_of, tell_account, tell_pictures
from tests.acceptance.stage import Stage
from tests.acceptance.stories.success import claim_completed
from tests.acceptance.telling import Story, Telling

STEPS = [
    *("created", "claimed", "source_verified", "submitted", "held"),
    *("claimed", "source_verified", "submitted", "completed"),
]


def tell(stage: Stage, telling: Telling) -> None:
    """Answer the first download with 503 and the second with the file."""
    telling.chapter("What happened")
    source = stage.sources.offer(clips.widescreen(stage.folder, stage.tools), whole=[503])
    video = stage.register(source.url, title="A video whose server stumbles")
    asset = stage.await_end(video)
    claim_completed(telling, asset, attempt=2)
    events = stage.events(video)
    types = [event["type"] for event in events]
    telling.claim(f"Its chronicle is {', '.join(STEPS)}.", types == STEPS, types)
    edges = [(event["from_status"], event["to_status"]) for event in events if event["to_status"]]
    telling.claim(
        "It went from `processing` to `retrying` and from there to `processing` again.",
        edges[2:4] == [("processing", "retrying"), ("retrying", "processing")],
        edges,
    )
    failed = callbacks_of(stage, video)[0].document
    telling.claim(
        "What sent it back is the provider's own callback: `job.failed`, `source_unreachable`, "
        "retryable.",
        failed["type"] == "job.failed"
        and (failed["data"]["job"]["error"]["code"], failed["data"]["job"]["error"]["retryable"])
        == ("source_unreachable", True),
        failed,
    )
    first, second = stage.books.attempts(video.asset_id)
    telling.claim(
        f"Each attempt had a job of its own: {page.code(first.provider_job_id)} failed, "
        f"{page.code(second.provider_job_id)} completed.",
        (first.outcome, second.outcome) == ("failed", "completed")
        and len({first.provider_job_id, second.provider_job_id, None}) == 3,
        (first.provider_job_id, second.provider_job_id),
    )
    outputs = stage.books.outputs(video.asset_id)
    telling.claim(
        "One output was published, that of the second attempt.",
        [output.attempt_id for output in outputs] == [second.id],
        [output.attempt_id for output in outputs],
    )
    telling.show(
        "The server of the source answers the worker's samples, and the provider's first download "
        "with 503:",
        page.source_log(source.log),
        "The asset as its owner sees it at the end:",
        page.document(asset),
    )
    tell_account(stage, telling, video)
    tell_pictures(stage, telling, video, "3-transient-failure")


STORY = Story(
    name="3-transient-failure",
    title="3. Transient failure: tried again, and completed",
    proves=(
        "A failure in passing, reported by the provider's own signed callback as retryable, sends "
        "the asset to `retrying` with a time for its next attempt, and a second attempt with a job "
        "of its own completes it. Nobody had to do anything, and both attempts can be followed by "
        "their identifiers."
    ),
    tell=tell,
)
