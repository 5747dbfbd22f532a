"""What happens to a video: followed through the API, and shown to a person.

Following and showing are apart: ``follow`` yields what is new, `LifecycleView` draws it. Neither
knows of the command line.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
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

from cli.client import ApiClient, ApiProblem, ApiUnreachable, Document
from cli.words import event_line, headline, percent

SETTLED = frozenset({"completed", "failed"})
"""States that no worker moves on."""

LOOK_EVERY_SEC = 0.5
PATIENCE_SEC = 60.0
"""How long an API that has gone away is waited for: a restart takes a few seconds."""


@dataclass(frozen=True)
class Update:
    """What is new since the update before.

    Attributes:
        asset: The asset as it is now.
        events: Events that were added to its chronicle, oldest first.
    """

    asset: Document
    events: Sequence[Document]

    @property
    def is_last(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.asset["status"] in SETTLED


def follow(
    client: ApiClient,
    post_id: UUID,
    *,
    after: int = 0,
    look_every_sec: float = LOOK_EVERY_SEC,
    patience_sec: float = PATIENCE_SEC,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Update]:
    """Follow a post's video until it has completed or failed.

    The first update comes at once; further ones when something has changed. An API that goes away
    meanwhile is waited for.

    Args:
        client: Of the owner, or of an operator.
        post_id: Whose video.
        after: The last event that is known already.
        look_every_sec: How often to ask.
        patience_sec: How long to go on without an answer.
        pause: Sleeps.
        clock: Monotonic, in seconds.

    Raises:
        ApiProblem: the API refused, such as for a post that is not there.
        ApiUnreachable: it has not answered for ``patience_sec``.
    """
    before: Document | None = None
    answered_at = clock()
    while True:
        try:
            # The asset first: the event of the change that we see is then there as well.
            asset = client.asset(post_id)
            events = list(client.events(post_id, after=after))
        except (ApiProblem, ApiUnreachable) as error:
            if not _may_pass(error) or clock() - answered_at > patience_sec or before is None:
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
        pause(look_every_sec)


def _may_pass(error: ApiProblem | ApiUnreachable) -> bool:
    return isinstance(error, ApiUnreachable) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class LifecycleView:
    """Draws bars that move and, above them, a line per event. Use as a context.

    Where the console is no terminal only the lines are printed.
    """

    def __init__(self, console: Console, *, bars: bool = True) -> None:
        """Draw nothing yet.

        Args:
            console: Where to draw.
            bars: Whether to draw bars at all.
        """
        self._console = console
        self._has_bars = bars and console.is_terminal and not console.quiet
        self._progress: Progress | None = None
        self._bar: TaskID | None = None
        self._began_at: datetime | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def upload(self, name: str, size_bytes: int) -> Callable[[int], None]:
        """Show a bar for a file that is being sent.

        Returns:
            What to call with the number of bytes just sent.
        """
        progress = self._show(DownloadColumn(), TransferSpeedColumn())
        bar = progress.add_task(f"uploading {escape(name)}", total=size_bytes)
        return lambda count: progress.advance(bar, count)

    def update(self, update: Update) -> None:
        """Show what is new."""
        self._began_at = self._began_at or datetime.fromisoformat(update.asset["created_at"])
        if self._bar is None:
            self._bar = self._show(TimeElapsedColumn()).add_task("", total=100)
        assert self._progress is not None
        for event in update.events:
            self._progress.console.print(event_line(event, self._began_at), soft_wrap=True)
        self._progress.update(
            self._bar,
            description=headline(update.asset),
            completed=percent(update.asset),
        )

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
