"""Runs a backfill page by page, with a bar, and adds up what it did."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from cli.operator import configured, database_away, present_operator
from cli.outcomes import CommandFailed, Exit
from pipeline.database import make_engine, session_of
from pipeline.posts import Posts, check_posts, count_videos
from pipeline.services import fetch_policy
from pipeline.settings import Settings
from pipeline.usecases.backfill import Page, backfill_page

PAGE_SIZE = 500
"""Posts in one transaction: a few hundred milliseconds, whatever the size of the table."""
EXAMPLES = 20
"""Posts named in the report for being invalid."""


@dataclass(frozen=True)
class Order:
    """What to do.

    Attributes:
        posts_table: The table; None for the one that the settings name.
        owner_column: Its column that says whose post it is.
        enqueue: Whether to queue as well.
        dry_run: Whether only to count.
        limit: How many to register or queue at most.
    """

    posts_table: str | None
    owner_column: str
    enqueue: bool
    dry_run: bool
    limit: int | None


@dataclass
class Totals:
    """What a whole backfill did, page by page."""

    seen: int = 0
    registered: int = 0
    enqueued: int = 0
    existing: int = 0
    invalid: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, page: Page) -> None:
        """Count a page in."""
        self.seen += page.seen
        self.registered += page.registered
        self.enqueued += page.enqueued
        self.existing += page.existing
        self.invalid.update(page.invalid.values())
        room = EXAMPLES - len(self.examples)
        self.examples += [
            {"post_id": str(post_id), "reason": reason}
            for post_id, reason in list(page.invalid.items())[:room]
        ]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "seen": self.seen,
            "registered": self.registered,
            "enqueued": self.enqueued,
            "existing": self.existing,
            "invalid": dict(self.invalid),
            "invalid_examples": self.examples,
        }


def run(order: Order, console: Console) -> Totals:
    """Carry out the order; the settings are read from the process's environment.

    Raises:
        CommandFailed: the settings are wrong, or the database does not answer.
        Unprocessable: the table cannot be read as a table of posts.
    """
    settings = configured()
    name = order.posts_table or settings.posts_table
    if not name:
        raise CommandFailed(
            Exit.USAGE,
            "posts_table_unnamed",
            "Which table holds the posts is not said.",
            "Name it with --posts-table or KHRONIKA_POSTS_TABLE.",
        )
    url = settings.operator_database_url.get_secret_value()
    engine = make_engine(url, pool_size=1, name="khronika backfill")
    try:
        return _with_bar(_Run(engine, Posts(name, order.owner_column), settings, order), console)
    except SQLAlchemyError as error:
        raise database_away(error) from error
    finally:
        engine.dispose()


@dataclass(frozen=True)
class _Run:
    engine: Engine
    posts: Posts
    settings: Settings
    order: Order

    def count(self) -> int:
        with session_of(self.engine) as session:
            check_posts(session, self.posts)
            return count_videos(session, self.posts)

    def pages(self) -> Iterator[Page]:
        """Page by page, each committed before it is yielded."""
        after: UUID | None = None
        left = self.order.limit
        while left is None or left > 0:
            size = PAGE_SIZE if left is None else min(PAGE_SIZE, left)
            page = self._page(after, size)
            yield page
            if page.last is None:
                return
            after = page.last
            if left is not None:
                left -= max(page.registered, page.enqueued)

    def _page(self, after: UUID | None, size: int) -> Page:
        who = present_operator()
        with session_of(self.engine) as session:
            page = backfill_page(
                session,
                self.posts,
                settings=self.settings,
                policy=fetch_policy(self.settings),
                actor=who.actor,
                after=after,
                size=size,
                enqueue=self.order.enqueue,
                dry_run=self.order.dry_run,
            )
            if page.enqueued and not self.order.dry_run:
                who.audit(
                    session, "backfill_enqueue", enqueued=page.enqueued, **_range(after, page)
                )
        return page


def _range(after: UUID | None, page: Page) -> dict[str, str | None]:
    """Which posts a page held; its assets' chronicles name the same actor one by one."""
    return {
        "after_post_id": str(after) if after else None,
        "last_post_id": str(page.last) if page.last else None,
    }


def _with_bar(run: _Run, console: Console) -> Totals:
    totals = Totals()
    columns = (TextColumn("posts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, disable=hidden) as progress:
        bar = progress.add_task("posts", total=run.count())
        for page in run.pages():
            totals.add(page)
            progress.advance(bar, page.seen)
    return totals
