"""What an owner does with a video: send it, look at it, follow it, try it again."""

import os
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import jwt
import typer

from cli import options
from cli.client import ApiClient, Document, Source
from cli.environment import address_of, complete, make_token
from cli.lifecycle import LifecycleView, Update, follow
from cli.outcomes import Exit, reporting
from cli.output import Output
from cli.resume import book_of
from cli.words import summary
from pipeline.values import Playback


def connect(url: str | None, token: str | None, owner: str) -> ApiClient:
    """A client of the API that the options and the environment mean.

    Raises:
        NoCredentials: there is neither a token nor the secret to make one.
    """
    env = complete(os.environ)
    return ApiClient(url or address_of(env), token or make_token(env, owner))


def submit(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL",
            help="A file to upload, or the address of a video.",
            show_default=False,
        ),
    ],
    *,
    post_id: Annotated[
        UUID | None, typer.Option(help="The post it belongs to. Default: a new one.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="What the video is called.")] = None,
    poster_time: Annotated[
        float | None, typer.Option(min=0, help="Where to take the poster, in seconds.")
    ] = None,
    playback: Annotated[
        Playback | None,
        typer.Option(help="Who is given its addresses. Default: the installation's policy."),
    ] = None,
    allow_original: Annotated[
        bool,
        typer.Option(
            "--allow-original", help="Let the file itself be shown if it cannot be converted."
        ),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it until it has completed or failed.")
    ] = False,
    as_json: options.Json = False,
    url: options.Url = None,
    token: options.Token = None,
    owner: options.Owner = options.OWNER,
) -> None:
    """Send a video for a post.

    The same post and source again is no error and starts nothing twice. A large file goes in
    parts: sent again after an interruption, it goes on where it ended. With --watch the exit code
    is 1 when the video failed.
    """
    given = options.file_or_url(source)
    with (
        reporting(as_json) as output,
        connect(url, token, owner) as client,
        LifecycleView(output.console) as view,
    ):
        post, sent = _send(client, post_id, given, view, whose=_whose(client, token, owner))
        asset = client.create(
            post,
            sent,
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
        output.show(f"\nFollow it with: khronika watch {post}")


def status(
    post_id: options.PostId,
    *,
    as_json: options.Json = False,
    url: options.Url = None,
    token: options.Token = None,
    owner: options.Owner = options.OWNER,
) -> None:
    """Show where the video of a post is. The exit code is 0 whatever its state."""
    with reporting(as_json) as output, connect(url, token, owner) as client:
        asset = client.asset(post_id)
        output.data(asset)
        output.show(summary(asset))


def events(
    post_id: options.PostId,
    *,
    follow_on: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more until it has settled.")
    ] = False,
    as_json: options.Json = False,
    url: options.Url = None,
    token: options.Token = None,
    owner: options.Owner = options.OWNER,
) -> None:
    """Show the chronicle of a post's video, oldest first; with --json one event a line."""
    with (
        reporting(as_json) as output,
        connect(url, token, owner) as client,
        LifecycleView(output.console, bars=False) as view,
    ):
        for update in follow(client, post_id):
            for event in update.events:
                output.data(event)
            view.update(update)
            if not follow_on:
                break


def watch(
    post_id: options.PostId,
    *,
    as_json: options.Json = False,
    url: options.Url = None,
    token: options.Token = None,
    owner: options.Owner = options.OWNER,
) -> None:
    """Follow the video of a post until it has completed or failed (exit code 1).

    With --json every line is {"event": …} or {"asset": …}.
    """
    with (
        reporting(as_json) as output,
        connect(url, token, owner) as client,
        LifecycleView(output.console) as view,
    ):
        asset = _follow(client, post_id, view, output)
    _conclude(output, asset)


def retry(
    post_id: options.PostId,
    *,
    as_json: options.Json = False,
    url: options.Url = None,
    token: options.Token = None,
    owner: options.Owner = options.OWNER,
) -> None:
    """Try a failed video again: its retry budget starts over, its history stays."""
    with reporting(as_json) as output, connect(url, token, owner) as client:
        asset = client.retry(post_id)
        output.data(asset)
        output.show(summary(asset))
        output.show(f"\nFollow it with: khronika watch {post_id}")


def _send(
    client: ApiClient, post_id: UUID | None, given: str | Path, view: LifecycleView, *, whose: str
) -> tuple[UUID, Source]:
    """Make a source of what was given, and say for which post.

    A large file whose upload was cut short goes on where it ended, for the post it began with.
    """
    if isinstance(given, str):
        return post_id or uuid4(), Source(source_url=given)
    book = book_of(os.environ)
    begun = book.find(whose, given)
    if begun is not None and post_id in (None, begun[0]) and client.is_open(begun[1]):
        post, ticket = begun
    else:
        post = post_id or uuid4()
        ticket = client.ticket(post, given)
    if ticket.get("parts"):
        book.keep(whose, given, post, ticket)
    on_bytes = view.upload(given.name, given.stat().st_size)
    upload_id = client.send(ticket, given, on_bytes=on_bytes)
    book.forget(whose, given)
    return post, Source(upload_id=upload_id)


def _whose(client: ApiClient, token: str | None, owner: str) -> str:
    """Which API, and as whom: tokens are renewed every hour, their subject stays."""
    try:
        who = jwt.decode(token, options={"verify_signature": False})["sub"] if token else owner
    except (jwt.PyJWTError, KeyError):
        who = token  # a server's key
    return f"{client.address} {who}"


def _follow(client: ApiClient, post_id: UUID, view: LifecycleView, output: Output) -> Document:
    """Show and hand out what happens until nothing more does; the asset as it is then."""
    asset: Document = {}
    for update in follow(client, post_id):
        _hand_out(output, update)
        view.update(update)
        asset = update.asset
    return asset


def _hand_out(output: Output, update: Update) -> None:
    for event in update.events:
        output.data({"event": event})
    output.data({"asset": update.asset})


def _conclude(output: Output, asset: Document) -> None:
    output.show(summary(asset))
    if asset["status"] == "failed":
        raise typer.Exit(Exit.NEGATIVE)
