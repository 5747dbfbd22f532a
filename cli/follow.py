"""A video's lifecycle, polled from the API by `follow` and drawn on a console by `LifecycleView`.

Neither depends on the command line.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from cli.api_requests import ApiProblem, ApiUnreachable, Document
from cli.client import ApiClient
from cli.terminal_text import event_line, headline, percent

SETTLED = frozenset({"completed", "failed"})
"""States that no worker moves on."""

POLL_INTERVAL_SEC = 0.5
GIVE_UP_SEC = 60.0
"""The longest wait for an API that went away; a restart takes a few seconds."""


@dataclass(frozen=True)
class Update:
    """A change of an asset.

    Attributes:
        asset: The asset after the change.
        events: The events added to its chronicle since the previous update, oldest first.
    """

    asset: Document
    events: Sequence[Document]

    @property
    def is_last(self) -> bool:
        """True if the asset has completed or failed."""
        return self.asset["status"] in SETTLED


def follow(
    client: ApiClient,
    post_id: UUID,
    *,
    after: int = 0,
    poll_interval_sec: float = POLL_INTERVAL_SEC,
    give_up_sec: float = GIVE_UP_SEC,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Update]:
    """Follow a post's video until it has completed or failed.

    The first update comes at once, each further one after a change. An API that answered before
    and goes away is waited for.

    Args:
        client: A client of the owner or of an operator.
        post_id: The post that the video belongs to.
        after: The number of the last event already known.
        poll_interval_sec: Seconds between two polls.
        give_up_sec: The longest time without an answer.
        pause: Sleeps for some seconds.
        clock: A monotonic clock, in seconds.

    Raises:
        ApiProblem: the API refused, for example because there is no such post.
        ApiUnreachable: the API has not answered for ``give_up_sec``.
    """
    before: Document | None = None
    answered_at = clock()
    while True:
        try:
            # The asset first: the events then include the one of the change that it shows.
            asset = client.asset(post_id)
            events = list(client.events(post_id, after=after))
        except (ApiProblem, ApiUnreachable) as error:
            waited_sec = clock() - answered_at
            if before is None or waited_sec > give_up_sec or not _is_outage(error):
                raise
        else:
            answered_at = clock()
            update = Update(asset, events)
            if events or asset != before:
                yield update
            if update.is_last:
                return
            before = asset
            after = events[-1]["seq"] if events else after
        pause(poll_interval_sec)


def _is_outage(error: ApiProblem | ApiUnreachable) -> bool:
    return isinstance(error, ApiUnreachable) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class LifecycleView:
    """A context that draws a moving bar on a console, and a line for each event above it.

    On a console that is no terminal it prints the lines only.
    """

    def __init__(self, console: Console, *, bars: bool = True) -> None:
        """Prepare a view; the first upload or update draws it.

        Args:
            console: The console to draw on.
            bars: False for no bars.
        """
        self._console = console
        self._has_bars = bars and console.is_terminal and not console.quiet
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._began_at: datetime | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def upload(self, name: str, size_bytes: int) -> Callable[[int], None]:
        """Show a bar for a file that is being sent.

        Returns:
            A function to call with the number of bytes just sent.
        """
        progress = self._show(DownloadColumn(), TransferSpeedColumn())
        bar = progress.add_task(f"uploading {escape(name)}", total=size_bytes)
        return lambda count: progress.advance(bar, count)

    def update(self, update: Update) -> None:
        """Show the state and the new events of an asset."""
        self._began_at = self._began_at or datetime.fromisoformat(update.asset["created_at"])
        if self._bar is None:
            self._bar = self._show(TimeElapsedColumn()).add_task("", total=100)
        assert self._progress is not None
        for event in update.events:
            self._progress.console.print(event_line(event, self._began_at), soft_wrap=True)
        asset = update.asset
        self._progress.update(self._bar, description=headline(asset), completed=percent(asset))

    def _show(self, *columns: Any) -> Progress:
        if self._progress is not None:
            self._progress.stop()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(finished_style="green"),
            *columns,
            console=self._console,
            disable=not self._has_bars,
        )
        self._progress.start()
        return self._progress
