"""Sends one real video through a running stack and tells what happens to it."""

import time
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from uuid import UUID, uuid4

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.media.playlist import PlaylistInvalid, parse_master
from stack.client import Client, Json, make_token
from stack.home import CHECKOUT
from stack.lifecycle import Stack
from stack.supervisor import check

CLIP = CHECKOUT / "tests" / "media" / "big-buck-bunny-720p-5s.mp4"
OWNER = "demo"
LOOK_EVERY_SEC = 0.2
GIVE_UP_SEC = 180.0
"""Without any news: longer than the transcoder takes to call an encode stalled (120 s)."""
ENDED = {"completed", "failed"}
FIRST_BYTES = 1024


class DemoFailed(Exception):
    """The video did not become playable; the message says why."""


def play(stack: Stack, video: Path, console: Console) -> str:
    """Upload, create, follow, verify.

    Args:
        stack: Running and ready.
        video: The file to send.
        console: Where the story is told.

    Returns:
        The line that sums it up.

    Raises:
        DemoFailed: the asset failed, an output does not answer, or there was no news for long.
        ApiRefused: the API refused a step.
        ProcessDied: a process of the stack ended meanwhile.
    """
    client = Client(stack.base_url, make_token(stack.environment, OWNER))
    try:
        post_id = uuid4()
        upload_id = _upload(client, post_id, video, console)
        client.create(post_id, upload_id, video.stem)
        asset = _follow(client, post_id, stack, console)
        _verify(client, asset, console)
    finally:
        client.close()
    seconds = (_instant(asset["completed_at"]) - _instant(asset["created_at"])).total_seconds()
    return (
        f"demo: completed asset={asset['id']} seconds={seconds:.1f} "
        f"manifest={asset['manifest_url']} fallback={asset['fallback_url']} "
        f"poster={asset['poster_url']}"
    )


def _upload(client: Client, post_id: UUID, video: Path, console: Console) -> str:
    console.print(f"uploading {video.name} for post {post_id}", highlight=False, soft_wrap=True)
    columns = (TextColumn("  upload "), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("upload", total=video.stat().st_size)
        return client.upload(post_id, video, lambda count: progress.advance(bar, count))


def _follow(client: Client, post_id: UUID, stack: Stack, console: Console) -> Json:
    """Print each event as it arrives, until the asset has ended one way or the other."""
    columns = (TextColumn("  {task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("queued", total=100)
        seen, news_at, before = 0, time.monotonic(), None
        while True:
            check(stack.processes)
            asset = client.asset(post_id)
            for event in client.events(post_id, after=seen):
                progress.console.print(_line(event, asset), highlight=False, markup=False)
                seen = event["seq"]
            done = 100 if asset["status"] == "completed" else asset["progress"] or 0
            progress.update(bar, description=f"{asset['status']:<10}", completed=done)
            if asset["status"] in ENDED:
                return _successful(asset)
            if (now := (seen, asset["progress"])) != before:
                news_at, before = time.monotonic(), now
            if time.monotonic() - news_at > GIVE_UP_SEC:
                raise DemoFailed(f"no news of asset {asset['id']} for {GIVE_UP_SEC:.0f} s")
            time.sleep(LOOK_EVERY_SEC)


def _line(event: Json, asset: Json) -> str:
    """``+1.42 s  processing  submitted  attempt 1  worker``."""
    after = (_instant(event["created_at"]) - _instant(asset["created_at"])).total_seconds()
    attempt = f"attempt {event['attempt']}" if event["attempt"] else ""
    status = event["to_status"] or ""
    return f"  +{after:5.2f} s  {status:<10}  {event['type']:<20}  {attempt:<10}  {event['actor']}"


def _successful(asset: Json) -> Json:
    if asset["status"] != "completed":
        raise DemoFailed(
            f"asset {asset['id']} failed as {asset['error_code']}: {asset['error_message']}"
        )
    return asset


def _verify(client: Client, asset: Json, console: Console) -> None:
    """Prove that what was published answers, as a player would ask for it."""
    manifest = _answer(client.fetch(asset["manifest_url"]), HTTPStatus.OK)
    try:
        variants = parse_master(manifest.text).variants
    except PlaylistInvalid as error:
        raise DemoFailed(f"{manifest.url} is no manifest: {error}") from error
    sizes = ", ".join(f"{variant.width}x{variant.height}" for variant in variants)
    fallback = client.fetch(asset["fallback_url"], first_bytes=FIRST_BYTES)
    _answer(fallback, HTTPStatus.PARTIAL_CONTENT)
    poster = _answer(client.fetch(asset["poster_url"]), HTTPStatus.OK)
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


def _answer(response: requests.Response, expected: HTTPStatus) -> requests.Response:
    if response.status_code != expected or not response.content:
        raise DemoFailed(
            f"{response.url} answered {response.status_code} with "
            f"{len(response.content)} bytes, not {int(expected)}"
        )
    return response


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
