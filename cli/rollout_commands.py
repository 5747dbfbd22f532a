"""The commands for the rollout. They use the database; `drill` fetches files as a player does.

They import the modules of the pipeline when they run, as in ``cli.operator_commands``.
"""

import os
from getpass import getuser
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli.api_requests import ApiProblem
from cli.client import ApiClient
from cli.command_errors import CommandFailed, ExitCode
from cli.command_output import CommandOutput
from cli.environment import api_address, complete_environment, make_token
from cli.fallback_drill import plays
from cli.options import Token, Url, with_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from pipeline.operations.rollout_stage import Stage

app = typer.Typer(
    help="The rollout: the share of the owners whose new videos the pipeline takes.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

OwnerId = Annotated[str, typer.Argument(metavar="OWNER", help="Id of the owner.")]


@app.command()
@with_output
def status(output: CommandOutput) -> None:
    """Show the stage, and what it must show before the next one.

    The exit code is 1 while a requirement is not met.
    """
    stage = _read()
    output.data(stage.document())
    _show(output, stage)
    if stage.unmet:
        raise typer.Exit(ExitCode.NEGATIVE)


@app.command()
@with_output
def advance(
    output: CommandOutput,
    *,
    force: Annotated[
        bool,
        typer.Option("--force", help="Set the unmet requirements aside; the audit records it."),
    ] = False,
) -> None:
    """Begin the next stage, with a greater share of the owners.

    It is refused until the present stage meets every requirement.
    """
    from pipeline.domain.rollout import next_step

    stage = _read()
    following = next_step(stage.percent)
    if following is None:
        raise CommandFailed(
            ExitCode.NEGATIVE, "rollout_ended", "All owners are in.", "There is nothing to do."
        )
    if stage.unmet and not force:
        _show(output, stage)
        raise CommandFailed(
            ExitCode.NEGATIVE,
            "requirements_unmet",
            f"The stage does not meet {len(stage.unmet)} of its requirements.",
            "Wait until it does, or set them aside with --force.",
            unmet=[each.name for each in stage.unmet],
        )
    _change(output, stage, following)


@app.command()
@with_output
def back(
    output: CommandOutput,
    *,
    share: Annotated[
        int | None, typer.Option(min=0, max=100, metavar="PERCENT", help="A share of your own.")
    ] = None,
) -> None:
    """Return to a smaller share: the step before, or the one given.

    Only new videos are refused. Those that are registered go on, and what is published plays on.
    """
    from pipeline.domain.rollout import previous_step

    stage = _read()
    smaller = previous_step(stage.percent) if share is None else share
    if smaller is None or smaller >= stage.percent:
        raise CommandFailed(
            ExitCode.USAGE,
            "not_smaller",
            f"The share is {stage.percent} % now.",
            "Give a smaller one with --share.",
        )
    _change(output, stage, smaller, is_back=True)


@app.command()
@with_output
def add(output: CommandOutput, owner: OwnerId) -> None:
    """Let an owner register videos at every stage, such as one of the staff."""
    from cli.operator_session import current_operator, operator_session
    from pipeline.domain.audit_types import AuditType
    from pipeline.operations.rollout_stage import add_owner

    operator = current_operator()
    with operator_session() as session:
        is_new = add_owner(session, owner, operator.actor)
        if is_new:
            operator.audit(session, AuditType.ROLLOUT_OWNER_ADDED, owner_id=owner)
    output.data({"owner_id": owner, "added": is_new})
    output.show(f"{owner} may register videos at every stage")


@app.command()
@with_output
def remove(output: CommandOutput, owner: OwnerId) -> None:
    """Take an owner off the list. The videos that the owner has go on."""
    from cli.operator_session import current_operator, operator_session
    from pipeline.domain.audit_types import AuditType
    from pipeline.operations.rollout_stage import remove_owner

    operator = current_operator()
    with operator_session() as session:
        remove_owner(session, owner)
        operator.audit(session, AuditType.ROLLOUT_OWNER_REMOVED, owner_id=owner)
    output.data({"owner_id": owner, "removed": True})
    output.show(f"{owner} is off the list")


@app.command()
@with_output
def owners(output: CommandOutput) -> None:
    """List the owners who may register videos at every stage."""
    from cli.operator_session import operator_session
    from pipeline.operations.rollout_stage import listed_owners

    with operator_session() as session:
        for each in listed_owners(session):
            added_at = each.added_at.isoformat(timespec="seconds")
            row = {"owner_id": each.owner_id, "added_by": each.added_by, "added_at": added_at}
            output.data(row)
            output.show(f"{each.owner_id}  {added_at}  {each.added_by}")


@app.command()
@with_output
def drill(output: CommandOutput, *, url: Url = None, token: Token = None) -> None:
    """Fetch the fallback files of the newest videos as a player does, and record the result.

    It shows that viewers whose browser plays no stream still have a video. The exit code is 1 if a
    file is broken or there is none. The token is an operator's.
    """
    from cli.operator_session import current_operator, operator_session
    from pipeline.domain.audit_types import AuditType
    from pipeline.operations.rollout_stage import posts_to_drill, record_drill

    with operator_session() as session:
        posts = posts_to_drill(session)
    with _reader(url, token) as client:
        addresses = dict(_fallbacks(client, posts))
    broken = [post_id for post_id, address in addresses.items() if not plays(address or "")]
    counts = {"files": len(addresses), "broken": len(broken)}
    with operator_session() as session:
        record_drill(session, **counts)
        current_operator().audit(session, AuditType.ROLLOUT_DRILLED, **counts)
    output.data({"files": len(addresses), "broken": broken})
    output.show(f"{len(addresses)} fallback files were fetched; {len(broken)} are broken")
    for post_id in broken:
        output.show(f"broken: {post_id}")
    if broken or not addresses:
        raise typer.Exit(ExitCode.NEGATIVE)


def _fallbacks(client: ApiClient, posts: "Iterable[UUID]") -> "Iterator[tuple[str, str | None]]":
    """Yield the address of each post's fallback file. A post deleted meanwhile is left out."""
    for post_id in posts:
        try:
            yield str(post_id), client.asset(post_id)["fallback_url"]
        except ApiProblem as problem:
            if problem.code != "post_not_found":
                raise


def _reader(url: str | None, token: str | None) -> ApiClient:
    """Return a client with an operator's token that may only read."""
    environment = complete_environment(os.environ)
    own = token or make_token(environment, getuser(), role="operator_read")
    return ApiClient(url or api_address(environment), own)


def _read() -> "Stage":
    from cli.operator_session import operator_session, operator_settings
    from pipeline.operations.rollout_stage import read_stage

    required = operator_settings().rollout.requirements
    with operator_session() as session:
        return read_stage(session, required)


def _change(output: CommandOutput, stage: "Stage", percent: int, *, is_back: bool = False) -> None:
    from cli.operator_session import current_operator, operator_session
    from pipeline.domain.audit_types import AuditType
    from pipeline.domain.rollout import name_of
    from pipeline.operations.rollout_stage import set_percent

    unmet = [] if is_back else [each.name for each in stage.unmet]
    operator = current_operator()
    with operator_session() as session:
        set_percent(session, percent, expected=stage.percent)
        operator.audit(
            session,
            AuditType.ROLLOUT_CHANGED,
            was=stage.percent,
            percent=percent,
            unmet=unmet,
        )
    output.data({"was": stage.percent, "percent": percent, "unmet": unmet})
    output.show(f"{name_of(stage.percent)} → {name_of(percent)}")


def _show(output: CommandOutput, stage: "Stage") -> None:
    from pipeline.domain.rollout import name_of

    output.show(f"{name_of(stage.percent)} since {stage.since:%Y-%m-%d %H:%M} UTC")
    output.show(f"listed owners: {stage.listed}")
    for each in stage.requirements:
        output.show(Text(f"{'met    ' if each.is_met else 'NOT MET'}  {each.sentence}"))
