"""The commands of an operator. They read the settings and, but for ``token``, the database.

A command imports the modules of the pipeline when it runs: they take three times as long to import
as the rest, and every command would wait for them.
"""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cli.command_errors import ExitCode
from cli.command_output import CommandOutput
from cli.environment import DEFAULT_LIFE_SEC, complete_environment, make_token
from cli.options import DryRun, Limit, PostId, with_output

if TYPE_CHECKING:
    from cli.doctor import CheckResult


@with_output
def token(
    output: CommandOutput,
    *,
    owner: Annotated[str, typer.Option(help="Owner: the token's sub.")],
    role: Annotated[
        str | None,
        typer.Option(
            help="service_role for an operator, operator_read for an operator who only reads."
        ),
    ] = None,
    ttl: Annotated[
        int, typer.Option(min=1, help="Seconds until the token expires.")
    ] = DEFAULT_LIFE_SEC,
) -> None:
    """Make a token with KHRONIKA_JWT_SECRET, as the site does for a signed-in user."""
    made = make_token(complete_environment(os.environ), owner, role=role, life_sec=ttl)
    output.data({"token": made, "owner": owner, "role": role, "expires_in_sec": ttl})
    output.show(Text(made))


@with_output
def ops_link(
    output: CommandOutput,
    *,
    read_only: Annotated[bool, typer.Option("--read-only", help="Sign in to read only.")] = False,
) -> None:
    """Print a link that signs you in to the console at /ops. It works once, within a minute."""
    from cli.operator_session import current_operator, operator_session, operator_settings
    from pipeline.access.operator_links import LIFE_SEC, sign_link
    from pipeline.domain.audit_types import AuditType

    settings, operator = operator_settings(), current_operator()
    subject = operator.actor.removeprefix("operator:")
    with operator_session() as session:
        operator.audit(session, AuditType.LINK_MADE, reads_only=read_only)
    link = sign_link(settings.media_urls.key, subject, reads_only=read_only, now=datetime.now(UTC))
    console = settings.internal.console_url(settings.media_urls.base_url)
    url = f"{console}/ops/sign-in?link={link}"
    output.data({"url": url, "subject": subject, "expires_in_sec": LIFE_SEC})
    output.show(Text(url))


@with_output
def backfill(
    output: CommandOutput,
    *,
    enqueue: Annotated[
        bool,
        typer.Option(
            "--enqueue", help="Queue the videos too, including those registered by earlier runs."
        ),
    ] = False,
    posts_table: Annotated[
        str | None,
        typer.Option(
            envvar="KHRONIKA_POSTS_TABLE",
            help="The site's table of posts, with id, media_kind and video_url.",
        ),
    ] = None,
    owner_column: Annotated[
        str,
        typer.Option(
            envvar="KHRONIKA_POSTS_OWNER_COLUMN", help="The table's column with the owner's id."
        ),
    ] = "owner_id",
    limit: Limit = None,
    dry_run: DryRun = False,
) -> None:
    """Register the videos of existing posts.

    Reads posts with media_kind = 'video' and a video_url, and does not change them. A registered
    video waits without a deadline until a run with --enqueue queues it. Repeating a run is safe:
    posts that have an asset are skipped.
    """
    from cli.backfill import BackfillRun, backfill_posts

    run = BackfillRun(posts_table, owner_column, enqueue, dry_run, limit)
    totals = backfill_posts(run, output.console).document() | {"dry_run": dry_run}
    output.data(totals)
    _show_totals(output, totals, enqueue=enqueue)


def _show_totals(output: CommandOutput, totals: dict[str, Any], *, enqueue: bool) -> None:
    would = "would be " if totals["dry_run"] else ""
    output.show(f"{totals['seen']} posts with a video")
    output.show(f"  {totals['registered']} {would}registered")
    output.show(f"  {totals['enqueued']} {would}queued")
    output.show(f"  {totals['existing']} had an asset already")
    output.show(f"  {sum(totals['invalid'].values())} cannot be registered")
    for reason, count in totals["invalid"].items():
        posts = [e["post_id"] for e in totals["invalid_examples"] if e["reason"] == reason]
        output.show(f"    {count} {reason}, such as {', '.join(posts[:3])}")
    if not enqueue and (totals["registered"] or totals["existing"]):
        output.show("Nothing was queued. `khronika backfill --enqueue` does that.")


@with_output
def rollback(output: CommandOutput, post_id: PostId) -> None:
    """Publish a post's previous outputs again. A second rollback returns to the later outputs.

    Works for a day after a re-encode; then the replaced files are removed.
    """
    from cli.operator_session import current_operator, operator_session
    from pipeline.domain.audit_types import AuditType
    from pipeline.lifecycle.publish import rollback_asset

    operator = current_operator()
    with operator_session() as session:
        asset = rollback_asset(session, post_id, actor=operator.actor)
        operator.audit(session, AuditType.ROLLBACK, post_id=str(post_id), asset_id=str(asset.id))
    published = str(asset.published_output_id)
    output.data({"post_id": str(post_id), "published_output_id": published})
    output.show(f"published again: {published}")


@with_output
def clean(output: CommandOutput, *, dry_run: DryRun = False) -> None:
    """Remove one batch of files of discarded attempts, deleted videos and unused uploads.

    The worker removes such files every ten minutes, a day after they were discarded.
    """
    from cli.operator_session import current_operator, worker_services
    from pipeline.domain.audit_types import AuditType
    from pipeline.operations.purge import purge

    with worker_services() as services:
        if not dry_run:
            current_operator().audit_first(AuditType.CLEAN)
        purged = purge(services, dry_run=dry_run)
    output.data(
        {
            "dry_run": dry_run,
            "prefixes": list(purged.prefixes),
            "reclaimed_bytes": purged.reclaimed_bytes,
        }
    )
    for prefix in purged.prefixes:
        output.show(prefix)
    verb = "would reclaim" if dry_run else "reclaimed"
    output.show(f"{verb} {purged.reclaimed_bytes:,} bytes in {len(purged.prefixes)} folders")


@with_output
def doctor(
    output: CommandOutput,
    *,
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="NAME", help="Check this provider account alone."),
    ] = None,
) -> None:
    """Check everything that the product depends on. The exit code is 1 if there is a problem.

    Checks the settings, the database as each role, migrations, catalogue, posts, token issuers,
    clock, broker, callback secrets, storage, ffmpeg and its isolation, and the provider accounts.
    Each problem comes with its next step. With --provider: the account's credentials, callback
    secret, state and pace, and whether our public address receives its callbacks. Nothing is spent.
    """
    from cli.doctor import run_checks

    os.environ.update(complete_environment(os.environ))
    results = []
    for result in run_checks(provider):
        results.append(result)
        _show_result(output, result)
    healthy = all(result.ok for result in results)
    output.data({"ok": healthy, "checks": [result.document() for result in results]})
    if not healthy:
        raise typer.Exit(ExitCode.NEGATIVE)


def _show_result(output: CommandOutput, result: "CheckResult") -> None:
    word, style = {True: ("ok", "green"), False: ("problem", "red"), None: ("-", "dim")}[result.ok]
    indent = " " * 31
    line = Text.assemble((f"{word:<8}", style), f" {result.name:<21} ")
    line.append(result.detail.replace("\n", "\n" + indent))
    if result.next_step:
        line.append(f"\n{indent}{result.next_step}", style="yellow")
    output.show(line)
