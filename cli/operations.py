"""An operator's commands: tokens, the backfill, the doctor.

What backfill and doctor stand on is imported when they run: it takes three times as long as all
the rest, and every command would wait for it.
"""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cli import options
from cli.environment import DEFAULT_LIFE_SEC, complete, make_token
from cli.outcomes import Exit, reporting
from cli.output import Output

if TYPE_CHECKING:
    from cli.doctor import Finding


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
        str,
        typer.Option(
            envvar="KHRONIKA_POSTS_OWNER_COLUMN", help="The column that says whose post it is."
        ),
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
    from cli.backfill import Order, run  # noqa: PLC0415 - see the top

    with reporting(as_json) as output:
        order = Order(posts_table, owner_column, enqueue, dry_run, limit)
        done = run(order, output.console).document() | {"dry_run": dry_run}
        output.data(done)
        _report(output, done, enqueue=enqueue)


def _report(output: Output, done: dict[str, Any], *, enqueue: bool) -> None:
    would = "would be " if done["dry_run"] else ""
    output.show(f"{done['seen']} posts with a video")
    output.show(f"  {done['registered']} {would}registered")
    output.show(f"  {done['enqueued']} {would}queued")
    output.show(f"  {done['existing']} had an asset already")
    output.show(f"  {sum(done['invalid'].values())} cannot be registered")
    for reason, count in done["invalid"].items():
        named = [each["post_id"] for each in done["invalid_examples"] if each["reason"] == reason]
        output.show(f"    {count} {reason}, such as {', '.join(named[:3])}")
    if not enqueue and (done["registered"] or done["existing"]):
        output.show("Nothing was queued. `khronika backfill --enqueue` does that.")


def doctor(*, as_json: options.Json = False) -> None:
    """Look at everything the product stands on; exit code 1 when there is a problem.

    Settings, database (as each role), migrations, catalogue, clock, broker, storage, ffmpeg,
    transcoder. Each problem comes with what to do about it.
    """
    from cli.doctor import examine  # noqa: PLC0415 - see the top

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


def _show(output: Output, finding: "Finding") -> None:
    word, style = {True: ("ok", "green"), False: ("problem", "red"), None: ("-", "dim")}[finding.ok]
    indent = " " * 31
    line = Text.assemble((f"{word:<8}", style), f" {finding.name:<21} ")
    line.append(finding.detail.replace("\n", "\n" + indent))
    if finding.next_step:
        line.append(f"\n{indent}{finding.next_step}", style="yellow")
    output.show(line)
