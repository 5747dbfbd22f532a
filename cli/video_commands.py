"""The commands of a video's owner. They call the API."""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import typer

from cli.api_requests import Document
from cli.client import ApiClient
from cli.command_errors import ExitCode
from cli.command_output import CommandOutput
from cli.follow import LifecycleView, follow
from cli.options import PostId, Yes, parse_id, with_client
from cli.terminal_text import summary
from cli.unfinished_uploads import unfinished_uploads
from pipeline.domain.values import Playback


@with_client
def submit(
    output: CommandOutput,
    client: ApiClient,
    source: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="A file to upload, or the URL of a video.")
    ],
    *,
    post_id: Annotated[
        UUID | None,
        typer.Option(parser=parse_id, help="Id of the post that it belongs to. Default: a new id."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the video.")] = None,
    poster_time: Annotated[
        float | None, typer.Option(min=0, help="Second of the video that the poster shows.")
    ] = None,
    playback: Annotated[
        Playback | None,
        typer.Option(
            help="public: its URLs work for everybody. signed: they work for a limited time. "
            "Default: the policy of the installation."
        ),
    ] = None,
    allow_original: Annotated[
        bool,
        typer.Option("--allow-original", help="Show the file itself if it cannot be converted."),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow the video until it has completed or failed.")
    ] = False,
) -> None:
    """Send a video for a post.

    Sending the same source for the same post again starts nothing twice. A large file is sent in
    parts; after an interruption, send it again to continue. With --watch the exit code is 1 if the
    video failed.
    """
    file, source_url = _file_or_url(source)
    with LifecycleView(output.console) as view:
        post, upload_id = post_id or uuid4(), None
        if file is not None:
            post, upload_id = _upload(client, post_id, file, view)
        asset = client.create(
            post,
            source_url=source_url,
            upload_id=upload_id,
            title=title,
            poster_time_sec=poster_time,
            playback=playback,
            allow_original=allow_original or None,
        )
        if watch:
            asset = _follow(client, post, view, output)
        else:
            output.data(asset)
    _conclude(output, asset)
    if not watch:
        _suggest_watching(output, post)


@with_client
def status(output: CommandOutput, client: ApiClient, post_id: PostId) -> None:
    """Show the state of a post's video. The exit code is 0 in every state."""
    _show(output, client.asset(post_id))


@with_client
def events(
    output: CommandOutput,
    client: ApiClient,
    post_id: PostId,
    *,
    wait: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Wait for more events until the video has completed or failed."
        ),
    ] = False,
) -> None:
    """List the events of a post's video, oldest first. With --json, print one event a line."""
    with LifecycleView(output.console, bars=False) as view:
        for update in follow(client, post_id):
            for event in update.events:
                output.data(event)
            view.update(update)
            if not wait:
                break


@with_client
def watch(output: CommandOutput, client: ApiClient, post_id: PostId) -> None:
    """Follow a post's video until it has completed or failed (exit code 1).

    With --json every line is {"event": …} or {"asset": …}.
    """
    with LifecycleView(output.console) as view:
        asset = _follow(client, post_id, view, output)
    _conclude(output, asset)


@with_client
def retry(output: CommandOutput, client: ApiClient, post_id: PostId) -> None:
    """Retry a failed video, with a new retry budget. Its events stay."""
    _show(output, client.retry(post_id))
    _suggest_watching(output, post_id)


@with_client
def cancel(output: CommandOutput, client: ApiClient, post_id: PostId) -> None:
    """Cancel the processing of a video. It can be retried later."""
    _show(output, client.cancel(post_id))


@with_client
def reencode(output: CommandOutput, client: ApiClient, post_id: PostId) -> None:
    """Process a completed video again. The published outputs play until new ones replace them."""
    _show(output, client.reencode(post_id))
    _suggest_watching(output, post_id)


@with_client
def delete(
    output: CommandOutput,
    client: ApiClient,
    post_id: PostId,
    *,
    yes: Yes = False,
) -> None:
    """Delete the video of a post, for good. The post may then have another video."""
    if not yes and not output.as_json:
        typer.confirm(f"Delete the video of post {post_id}?", abort=True)
    asset = client.delete(post_id)
    output.data(asset)
    output.show(f"deleted {asset['id']}: every address has stopped, its files are being removed")


def _file_or_url(source: str) -> tuple[Path | None, str | None]:
    """Read the argument as a URL if it has a scheme that the API accepts, else as a path."""
    if urlsplit(source).scheme in ("http", "https", "storage"):
        return None, source
    path = Path(source)
    if not path.is_file():
        raise typer.BadParameter(f"{source} is neither a file nor an http(s) address.")
    return path, None


def _upload(
    client: ApiClient, post_id: UUID | None, path: Path, view: LifecycleView
) -> tuple[UUID, str]:
    """Upload a file, or continue its unfinished upload; return the post and the upload's id.

    An unfinished upload belongs to the post that it began with.
    """
    records = unfinished_uploads(os.environ)
    begun = records.find(client.identity, path)
    if begun is not None and post_id in (None, begun[0]) and client.is_open(begun[1]):
        post, ticket = begun
    else:
        post = post_id or uuid4()
        ticket = client.ticket(post, path)
    if ticket.get("parts"):
        records.keep(client.identity, path, post, ticket)
    on_bytes = view.upload(path.name, path.stat().st_size)
    upload_id = client.send(ticket, path, on_bytes=on_bytes)
    records.forget(client.identity, path)
    return post, upload_id


def _follow(
    client: ApiClient, post_id: UUID, view: LifecycleView, output: CommandOutput
) -> Document:
    """Show a video's events and states until it has completed or failed; return the asset."""
    asset: Document = {}
    for update in follow(client, post_id):
        for event in update.events:
            output.data({"event": event})
        output.data({"asset": update.asset})
        view.update(update)
        asset = update.asset
    return asset


def _show(output: CommandOutput, asset: Document) -> None:
    output.data(asset)
    output.show(summary(asset))


def _suggest_watching(output: CommandOutput, post_id: UUID) -> None:
    output.show(f"\nFollow it with: khronika watch {post_id}")


def _conclude(output: CommandOutput, asset: Document) -> None:
    output.show(summary(asset))
    if asset["status"] == "failed":
        raise typer.Exit(ExitCode.NEGATIVE)
