"""A video that is uploaded and one that is fetched; both become playable."""

from typing import Any

from stack.demo import CLIP
from tests import clips
from tests.acceptance import page
from tests.acceptance.account import tell_account, tell_pictures
from tests.acceptance.stage import Stage, Video
from tests.acceptance.telling import Story, Telling

PATH_OF_A_SUCCESS = ["created", "claimed", "source_verified", "submitted", "completed"]
PATH_WITH_A_WARNING = [*PATH_OF_A_SUCCESS[:-1], "warned", "completed"]
"""The sound of the upload has six channels, and its outputs have two."""


def tell(stage: Stage, telling: Telling) -> None:
    """Send one by ticket, name the other's address, and follow both to the end."""
    upload = stage.upload(CLIP, title="Big Buck Bunny")
    source = stage.sources.offer(clips.portrait(stage.folder, stage.tools))
    remote = stage.register(source.url, title="A portrait")
    telling.chapter("By upload")
    telling.show(
        "A ticket (`POST /api/uploads`), the file (`PUT` to the ticket's address), the checks "
        "(`POST …/complete`), then `POST /api/video-assets/create` with the upload's id.",
    )
    _tell_one(stage, telling, upload, "1-success-upload", PATH_WITH_A_WARNING)
    telling.chapter("By remote URL")
    telling.show(
        "`POST /api/video-assets/create` with a `source_url`. What the server of that address saw: "
        "the worker measures the source with a few ranged requests, the provider downloads it.",
        page.source_log(source.log),
    )
    _tell_one(stage, telling, remote, "1-success-url", PATH_OF_A_SUCCESS)


def _tell_one(stage: Stage, telling: Telling, video: Video, name: str, path: list[str]) -> None:
    asset = stage.await_end(video)
    claim_completed(telling, asset, attempt=1)
    types = [event["type"] for event in stage.events(video)]
    telling.claim(
        f"Its chronicle is {', '.join(path)}: one attempt and nothing else.",
        types == path,
        types,
    )
    telling.show("The asset as its owner sees it:", page.document(asset))
    tell_account(stage, telling, video)
    tell_pictures(stage, telling, video, name)


def claim_completed(telling: Telling, asset: dict[str, Any], *, attempt: int) -> None:
    """The asset is playable, by this attempt, and says nothing of failure."""
    telling.claim(
        f"Asset {page.code(asset['id'])} is `completed` by attempt {attempt} and playable, and "
        "carries no error.",
        (asset["status"], asset["attempt"], asset["playable"], asset["error_code"])
        == ("completed", attempt, True, None),
        asset,
    )


STORY = Story(
    name="1-success",
    title="1. Success: a video becomes playable",
    proves=(
        "A file sent by upload and a file named by its address both become an adaptive manifest, "
        "a progressive fallback and a poster, on the word of the provider's own signed callback. "
        "Every step of it is in a chronicle that the owner reads and a stranger does not."
    ),
    tell=tell,
)
