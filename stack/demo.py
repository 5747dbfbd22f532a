"""The demo: one real video goes through a running stack."""

import time
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from uuid import UUID, uuid4

import requests
from rich.console import Console

from cli.api_requests import Document
from cli.client import ApiClient
from cli.environment import make_token
from cli.follow import LifecycleView, follow
from pipeline.media.playlist import PlaylistInvalid, parse_master
from stack.home import CHECKOUT
from stack.startup import Stack
from stack.supervisor import check_alive
from stack.waiting import Stillness

CLIP = CHECKOUT / "tests" / "media" / "big-buck-bunny-720p-5s.mp4"
OWNER = "demo"
LOOK_EVERY_SEC = 0.2
PATIENCE_SEC = 180.0
"""Time without an event or progress; the transcoder calls an encode stalled after 120 s."""
FETCH_TIMEOUT_SEC = (5.0, 30.0)
FIRST_BYTES = 1024


class DemoFailed(Exception):
    """The video did not become playable; the message gives the reason."""


def send_video(stack: Stack, video: Path, console: Console) -> str:
    """Upload a video, create its asset, follow it and fetch the outputs.

    Args:
        stack: Running and ready.
        video: The file to send.
        console: Shows the events.

    Returns:
        A line with the result.

    Raises:
        DemoFailed: the asset failed or stood still, or an output does not answer.
        ApiProblem: the API refused a step.
        ApiUnreachable: the API does not answer any more.
        ProcessDied: a process of the stack ended.
    """
    post_id = uuid4()
    token = make_token(stack.environment, OWNER)
    with ApiClient(stack.base_url, token) as client, LifecycleView(console) as view:
        console.print(f"sending {video.name} for post {post_id}", highlight=False, soft_wrap=True)
        on_bytes = view.upload(video.name, video.stat().st_size)
        upload_id = client.upload(post_id, video, on_bytes=on_bytes)
        client.create(post_id, upload_id=upload_id, title=video.stem)
        asset = _follow(client, post_id, stack, view)
    _verify(asset, console)
    seconds = (_instant(asset["completed_at"]) - _instant(asset["created_at"])).total_seconds()
    return (
        f"demo: completed asset={asset['id']} seconds={seconds:.1f} "
        f"manifest={asset['manifest_url']} fallback={asset['fallback_url']} "
        f"poster={asset['poster_url']}"
    )


def _follow(client: ApiClient, post_id: UUID, stack: Stack, view: LifecycleView) -> Document:
    """Show each event as it arrives, until the asset has completed or failed."""
    asset: Document = {}
    watch = _Watch(stack)
    for update in follow(client, post_id, poll_interval_sec=LOOK_EVERY_SEC, pause=watch.pause):
        view.update(update)
        asset = update.asset
        if update.events or asset["progress"] is not None:
            watch.note_change()
    if asset["status"] != "completed":
        raise DemoFailed(
            f"asset {asset['id']} failed as {asset['error_code']}: {asset['error_message']}"
        )
    return asset


class _Watch:
    """A pause between two looks that ends the demo if a process has died or all stands still."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._changes = 0
        self._stillness = Stillness(time.monotonic())

    def note_change(self) -> None:
        self._changes += 1

    def pause(self, seconds: float) -> None:
        check_alive(self._stack.processes)
        if self._stillness.measure(self._changes, time.monotonic()) > PATIENCE_SEC:
            raise DemoFailed(f"neither an event nor progress for {PATIENCE_SEC:.0f} s")
        time.sleep(seconds)


def _verify(asset: Document, console: Console) -> None:
    """Fetch what was published in the way a player does."""
    manifest = _fetch(asset["manifest_url"], HTTPStatus.OK)
    try:
        variants = parse_master(manifest.text).variants
    except PlaylistInvalid as error:
        raise DemoFailed(f"{manifest.url} is not a manifest: {error}") from error
    sizes = ", ".join(f"{variant.width}x{variant.height}" for variant in variants)
    ranged = {"Range": f"bytes=0-{FIRST_BYTES - 1}"}
    fallback = _fetch(asset["fallback_url"], HTTPStatus.PARTIAL_CONTENT, ranged)
    poster = _fetch(asset["poster_url"], HTTPStatus.OK)
    for name, response, what in (
        ("manifest", manifest, sizes),
        ("fallback", fallback, f"{asset['duration_sec']:.2f} s, seekable"),
        ("poster", poster, f"{len(poster.content):,} bytes"),
    ):
        console.print(
            f"  {name:<8} {response.status_code}  {what}  {response.url}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _fetch(
    url: str, expected: HTTPStatus, headers: dict[str, str] | None = None
) -> requests.Response:
    response = requests.get(url, headers=headers, timeout=FETCH_TIMEOUT_SEC)
    if response.status_code != expected or not response.content:
        raise DemoFailed(
            f"{response.url} answered {response.status_code} with "
            f"{len(response.content)} bytes, not {int(expected)}"
        )
    return response


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
