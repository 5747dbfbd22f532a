"""The command that checks the audit. It uses the database.

It imports the modules of the pipeline when it runs, as in ``cli.operator_commands``.
"""

import re
from dataclasses import asdict
from typing import Annotated

import typer

from cli.command_errors import ExitCode
from cli.command_output import CommandOutput
from cli.options import with_output

app = typer.Typer(
    help="The audit: what operators did, and callbacks that were refused.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

HASH = re.compile(r"[0-9a-f]{64}")


@app.callback()
def group() -> None:
    """Keep ``verify`` a command of its own; Typer would merge a single command into the group."""


def _parse_hash(text: str) -> str:
    if HASH.fullmatch(text.lower()) is None:
        raise typer.BadParameter("A head has 64 hexadecimal digits.")
    return text.lower()


@app.command()
@with_output
def verify(
    output: CommandOutput,
    *,
    since_head: Annotated[
        str | None,
        typer.Option(
            parser=_parse_hash, metavar="HASH", help="Head that an earlier check printed."
        ),
    ] = None,
) -> None:
    """Check that no row of the audit was changed, removed or added past its chain of hashes.

    Prints the head of the chain. Keep it outside of the database: with --since-head the next check
    also finds that the newest rows were cut off. The exit code is 1 if the chain is broken; the
    first broken row is named.
    """
    from cli.operator_session import operator_session
    from pipeline.operations.audit_chain import verify_chain

    with operator_session() as session:
        found = verify_chain(session, since_head=since_head)
    output.data({"ok": found.broken is None, **asdict(found)})
    if found.broken is not None:
        broken = found.broken
        row = "" if broken.id is None else f", row {broken.id}"
        place = "" if broken.position is None else f" at place {broken.position}{row}"
        place = place or row.replace(",", " at")
        output.show(f"broken{place}: {broken.reason}")
        output.show(f"{found.rows} rows before it are correct")
        raise typer.Exit(ExitCode.NEGATIVE)
    output.show(f"{found.rows} rows are correct, up to place {found.position}")
    if found.removed:
        output.show(f"The retention has removed the rows up to place {found.removed}.")
    output.show(f"head {found.head}")
