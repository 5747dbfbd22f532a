"""A file that looks like a video until somebody decodes all of it."""

import subprocess
from pathlib import Path

from pipeline.domain.failures import FAILURES
from pipeline.media.tools import Tools
from stack.demo import CLIP
from tests.acceptance import page
from tests.acceptance.account import callbacks_of, tell_account
from tests.acceptance.stage import Stage
from tests.acceptance.telling import Story, Telling

CODE = "source_corrupt"


def tell(stage: Stage, telling: Telling) -> None:
    """Register half a file and see it refused by the encoder, once."""
    telling.chapter("What happened")
    source = stage.sources.offer(_half_a_webm(stage.folder, stage.tools))
    video = stage.register(source.url, title="Half a video")
    asset = stage.await_end(video)
    failure = FAILURES[CODE]
    telling.claim(
        "The asset is `failed` after one attempt and nothing of it is playable.",
        (asset["status"], asset["attempt"], asset["playable"]) == ("failed", 1, False),
        asset,
    )
    telling.claim(
        f"It says why (`{CODE}`: “{failure.sentence}”) and what to do (“{failure.next_step}”).",
        (asset["error_code"], asset["error_message"]) == (CODE, failure.message),
        (asset["error_code"], asset["error_message"]),
    )
    types = [event["type"] for event in stage.events(video)]
    telling.claim(
        "The source passed the worker's verification, was submitted, and failed once: no retry "
        "was scheduled.",
        types == ["created", "claimed", "source_verified", "submitted", "failed"],
        types,
    )
    last = callbacks_of(stage, video)[-1].document
    telling.claim(
        f"What failed it is the provider's own callback: `job.failed`, `{CODE}`, not retryable.",
        last["type"] == "job.failed"
        and (last["data"]["job"]["error"]["code"], last["data"]["job"]["error"]["retryable"])
        == (CODE, False),
        last,
    )
    telling.claim("Nothing was published.", not stage.books.outputs(video.asset_id))
    telling.show(
        "The source is a WebM that was cut off half way: its head is sound and declares the whole "
        "duration, so that the worker's sample of it passes. What its server saw:",
        page.source_log(source.log),
        "The asset as its owner sees it:",
        page.document(asset),
    )
    tell_account(stage, telling, video)


def _half_a_webm(folder: Path, tools: Tools) -> Path:
    """The first half of a WebM of five seconds."""
    whole = folder / "five-seconds.webm"
    codecs = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")
    command = [tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(CLIP)]
    command += ["-vf", "scale=320:180", *codecs, str(whole)]
    subprocess.run(command, check=True, timeout=240)
    half = folder / "half.webm"
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    return half


STORY = Story(
    name="2-terminal-failure",
    title="2. Terminal failure: reported by the provider, explained to the owner",
    proves=(
        "A failure that trying again cannot mend ends the asset at once, on the provider's own "
        "signed `job.failed`, and no budget is wasted on it. The owner is told in a code, a "
        "sentence and a next step what happened, and nothing half-made is published."
    ),
    tell=tell,
)
