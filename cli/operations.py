"""An operator's commands: tokens, the backfill, the doctor."""

import getpass
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from sqlalchemy import Engine

from cli import options
from cli.doctor import Finding, examine
from cli.environment import DEFAULT_LIFE_SEC, complete, make_token
from cli.outcomes import Exit, reporting
from cli.output import Output
from pipeline.database import make_engine, session_of
from pipeline.posts import Posts, check_posts, count_videos
from pipeline.services import fetch_policy
from pipeline.settings import Settings, load_settings
from pipeline.usecases.backfill import Page, backfill_page

PAGE_SIZE = 500
"""Posts in one transaction: a few hundred milliseconds, whatever the size of the table."""
EXAMPLES = 20
"""Posts named in the report for being invalid."""


def token(
    *,
    owner: Annotated[str, typer.Option(help="Whose token: its sub.", show_default=False)],
    role: Annotated[
        str | None,
        typer.Option(help="service_role for an operator, operator_read for one who only reads."),
    ] = None,
    ttl: Annotated[
        int, typer.Option(min=1, help="How long it is valid, in seconds.")
    ] = DEFAULT_LIFE_SEC,
    as_json: options.Json = False,
) -> None:
    """Make a token with KHRONIKA_JWT_SECRET, as the site would for a signed-in user."""
    with reporting(as_json) as output:
        made = make_token(complete(os.environ), owner, role=role, life_sec=ttl)
        output.data({"token": made, "owner": owner, "role": role, "expires_in_sec": ttl})
        output.show(Text(made))


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


def backfill(
    *,
    enqueue: Annotated[
        bool, typer.Option("--enqueue", help="Also queue them, those registered earlier included.")
    ] = False,
    posts_table: Annotated[
        str | None,
        typer.Option(
            envvar="KHRONIKA_POSTS_TABLE",
            help="The site's table of posts, with id, media_kind and video_url.",
        ),
    ] = None,
    owner_column: Annotated[
        str, typer.Option(help="The column that says whose post it is.")
    ] = "owner_id",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Register or queue at most so many.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; count what would be done.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Register the videos of posts that were there before.

    Takes posts with media_kind = 'video' and a video_url, and changes nothing in them. What is
    registered waits, however long, until a run with --enqueue queues it. Running it again is
    safe: posts that have an asset are left alone.
    """
    with reporting(as_json) as output:
        os.environ.update(complete(os.environ))
        settings = load_settings()
        name = posts_table or settings.posts_table
        if not name:
            raise typer.BadParameter("Name the table: --posts-table or KHRONIKA_POSTS_TABLE.")
        engine = make_engine(
            settings.operator_database_url.get_secret_value(), pool_size=1, name="khronika backfill"
        )
        try:
            run = _Backfill(engine, Posts(name, owner_column), settings, enqueue, dry_run, limit)
            totals = _with_bar(run, output)
        finally:
            engine.dispose()
        _report(output, totals, enqueue=enqueue, dry_run=dry_run)


@dataclass(frozen=True)
class _Backfill:
    engine: Engine
    posts: Posts
    settings: Settings
    enqueue: bool
    dry_run: bool
    limit: int | None

    def count(self) -> int:
        with session_of(self.engine) as session:
            check_posts(session, self.posts)
            return count_videos(session, self.posts)

    def pages(self) -> Iterator[Page]:
        """Page by page, each committed before it is yielded."""
        after: UUID | None = None
        left = self.limit
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
        with session_of(self.engine) as session:
            return backfill_page(
                session,
                self.posts,
                settings=self.settings,
                policy=fetch_policy(self.settings),
                actor=f"operator:{getpass.getuser()}",
                after=after,
                size=size,
                enqueue=self.enqueue,
                dry_run=self.dry_run,
            )


def _with_bar(run: _Backfill, output: Output) -> Totals:
    totals = Totals()
    columns = (TextColumn("posts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not output.console.is_terminal
    with Progress(*columns, console=output.console, disable=hidden) as progress:
        bar = progress.add_task("posts", total=run.count())
        for page in run.pages():
            totals.add(page)
            progress.advance(bar, page.seen)
    return totals


def _report(output: Output, totals: Totals, *, enqueue: bool, dry_run: bool) -> None:
    document: dict[str, Any] = {
        "dry_run": dry_run,
        "seen": totals.seen,
        "registered": totals.registered,
        "enqueued": totals.enqueued,
        "existing": totals.existing,
        "invalid": dict(totals.invalid),
        "invalid_examples": totals.examples,
    }
    output.data(document)
    would = "would be " if dry_run else ""
    output.show(f"{totals.seen} posts with a video")
    output.show(f"  {totals.registered} {would}registered")
    output.show(f"  {totals.enqueued} {would}queued")
    output.show(f"  {totals.existing} had an asset already")
    output.show(f"  {totals.invalid.total()} cannot be registered")
    for reason, count in totals.invalid.most_common():
        named = [each["post_id"] for each in totals.examples if each["reason"] == reason]
        output.show(f"    {count} {reason}, such as {', '.join(named[:3])}")
    if not enqueue and (totals.registered or totals.existing):
        output.show("Nothing was queued. `khronika backfill --enqueue` does that.")


def doctor(*, as_json: options.Json = False) -> None:
    """Look at everything the product stands on; exit code 1 when there is a problem.

    Settings, database (as each role), migrations, catalogue, clock, broker, storage, ffmpeg,
    transcoder. Each problem comes with what to do about it.
    """
    with reporting(as_json) as output:
        os.environ.update(complete(os.environ))
        findings = []
        for finding in examine():
            findings.append(finding)
            _show(output, finding)
        healthy = all(finding.ok for finding in findings)
        output.data({"ok": healthy, "checks": [finding.document() for finding in findings]})
    if not healthy:
        raise typer.Exit(Exit.NEGATIVE)


def _show(output: Output, finding: Finding) -> None:
    word, style = {True: ("ok", "green"), False: ("problem", "red"), None: ("-", "dim")}[finding.ok]
    indent = " " * 31
    line = Text.assemble((f"{word:<8}", style), f" {finding.name:<21} ")
    line.append(finding.detail.replace("\n", "\n" + indent))
    if finding.next_step:
        line.append(f"\n{indent}{finding.next_step}", style="yellow")
    output.show(line)
