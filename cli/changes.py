"""What an owner undoes or redoes: cancel, encode anew, delete."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

import typer

from cli import options
from cli.client import Document
from cli.outcomes import reporting
from cli.output import Output
from cli.videos import connect
from cli.words import summary


def cancel(
    post_id: options.PostId,
    *,
    as_json: options.Json = False,
    url: options.Url = None,
    token: options.Token = None,
    owner: options.Owner = options.OWNER,
) -> None:
    """End a video in progress. A later retry starts it over."""
    with reporting(as_json) as output, connect(url, token, owner) as client:
        _report(output, post_id, client.cancel)


def reencode(
    post_id: options.PostId,
    *,
    as_json: options.Json = False,
    url: options.Url = None,
    token: options.Token = None,
    owner: options.Owner = options.OWNER,
) -> None:
    """Process a completed video anew. What is published plays on until it is replaced."""
    with reporting(as_json) as output, connect(url, token, owner) as client:
        _report(output, post_id, client.reencode)
        output.show(f"\nFollow it with: khronika watch {post_id}")


def delete(
    post_id: options.PostId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: options.Json = False,
    url: options.Url = None,
    token: options.Token = None,
    owner: options.Owner = options.OWNER,
) -> None:
    """Delete the video of a post; the post is free again. There is no way back."""
    if not yes and not as_json:
        typer.confirm(f"Delete the video of post {post_id}?", abort=True)
    with reporting(as_json) as output, connect(url, token, owner) as client:
        asset = client.delete(post_id)
        output.data(asset)
        output.show(f"deleted {asset['id']}: its files go within a day")


def _report(output: Output, post_id: UUID, verb: Callable[[UUID], Document]) -> None:
    asset = verb(post_id)
    output.data(asset)
    output.show(summary(asset))
