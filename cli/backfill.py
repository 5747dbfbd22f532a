"""A backfill of a whole table of posts: page by page, with a progress bar and totals."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine

from cli.command_errors import CommandFailed, ExitCode
from cli.operator_session import current_operator, operator_engine, operator_settings
from pipeline.domain.audit_types import AuditType
from pipeline.operations.backfill import Page, backfill_page
from pipeline.process_settings import OperatorSettings
from pipeline.records.site_posts import Posts, check_posts, count_videos
from pipeline.runtime.database import session_of

PAGE_SIZE = 500
"""Posts in one transaction, which takes a few hundred milliseconds however large the table is."""
COUNTED = ("seen", "registered", "enqueued", "existing")
EXAMPLES = 20
"""The most invalid posts that the totals name."""


@dataclass(frozen=True)
class BackfillRun:
    """The options of one run.

    Attributes:
        posts_table: The table of posts; None for the table that the settings name.
        owner_column: The table's column with the owner's id.
        enqueue: True to queue the videos too.
        dry_run: True to count only.
        limit: The most videos to register or queue.
    """

    posts_table: str | None
    owner_column: str
    enqueue: bool
    dry_run: bool
    limit: int | None


@dataclass
class BackfillTotals:
    """The sums over all pages of a run: posts, and the first invalid ones with their reasons."""

    counts: Counter[str] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, str]] = field(default_factory=list)

    def add(self, page: Page) -> None:
        """Add the counts of a page."""
        self.counts.update({name: getattr(page, name) for name in COUNTED})
        self.invalid.update(page.invalid.values())
        self.examples += [
            {"post_id": str(post_id), "reason": reason}
            for post_id, reason in list(page.invalid.items())[: EXAMPLES - len(self.examples)]
        ]

    def document(self) -> dict[str, Any]:
        """Return the totals as a JSON object."""
        counts = {name: self.counts[name] for name in COUNTED}
        return {**counts, "invalid": dict(self.invalid), "invalid_examples": self.examples}


def backfill_posts(run: BackfillRun, console: Console) -> BackfillTotals:
    """Register, and if asked queue, the videos of a table of posts.

    Raises:
        CommandFailed: the settings are wrong, or the database does not answer.
        Unprocessable: the table cannot be read as a table of posts.
    """
    settings = operator_settings()
    name = run.posts_table or settings.posts.posts_table
    if not name:
        raise CommandFailed(
            ExitCode.USAGE,
            "posts_table_unnamed",
            "The table of posts is not named.",
            "Name it with --posts-table or KHRONIKA_POSTS_TABLE.",
        )
    posts = Posts(name, run.owner_column)
    totals = BackfillTotals()
    columns = (TextColumn("posts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    with operator_engine() as engine, Progress(*columns, console=console, disable=hidden) as bars:
        bar = bars.add_task("posts", total=_count_videos(engine, posts))
        for page in _pages(engine, posts, settings, run):
            totals.add(page)
            bars.advance(bar, page.seen)
    return totals


def _count_videos(engine: Engine, posts: Posts) -> int:
    with session_of(engine) as session:
        check_posts(session, posts)
        return count_videos(session, posts)


def _pages(
    engine: Engine, posts: Posts, settings: OperatorSettings, run: BackfillRun
) -> Iterator[Page]:
    """Process the posts page by page; each page is committed before it is yielded."""
    after: UUID | None = None
    left = PAGE_SIZE if run.limit is None else run.limit
    while left > 0:
        page = _process_page(engine, posts, settings, run, after=after, size=min(PAGE_SIZE, left))
        yield page
        if page.last is None:
            return
        after = page.last
        if run.limit is not None:
            left -= max(page.registered, page.enqueued)


def _process_page(
    engine: Engine,
    posts: Posts,
    settings: OperatorSettings,
    run: BackfillRun,
    *,
    after: UUID | None,
    size: int,
) -> Page:
    """Process one page, and audit the posts that it registered or queued.

    The events of the page's assets name the same actor as the audit.
    """
    operator = current_operator()
    with session_of(engine) as session:
        page = backfill_page(
            session,
            posts,
            provider=settings.accounts.default,
            new_videos=settings.new_videos,
            retry=settings.retry,
            policy=settings.sources.fetch_policy,
            actor=operator.actor,
            after=after,
            size=size,
            enqueue=run.enqueue,
            dry_run=run.dry_run,
        )
        if (page.registered or page.enqueued) and not run.dry_run:
            operator.audit(
                session,
                AuditType.BACKFILL,
                registered=page.registered,
                enqueued=page.enqueued,
                after_post_id=str(after) if after else None,
                last_post_id=str(page.last) if page.last else None,
            )
    return page
