"""The ``khronika`` command."""

import typer

from cli import (
    api_key_commands,
    audit_commands,
    migrate_command,
    move_command,
    operator_commands,
    provider_commands,
    rollout_commands,
    run_command,
    secret_commands,
    video_commands,
)

app = typer.Typer(
    name="khronika",
    help="""Send videos, follow their processing, and operate the pipeline.

    By default it uses the stack that `make up` runs from this checkout, as the owner "demo". For
    another installation set KHRONIKA_URL and KHRONIKA_TOKEN.

    Every command has --json: stdout then holds JSON only, one document a line. An error is
    {"error": {"code", "message", "next_step", …}}.

    Exit codes: 0: success. 1: the command worked and its result is bad (the video failed, doctor
    found a problem). 2: the command line or the settings are wrong. 3: the API refused. 4: no
    answer, or the server failed. 130: interrupted.
    """,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold tokens
)

VIDEO_COMMANDS = (
    video_commands.submit,
    video_commands.status,
    video_commands.events,
    video_commands.watch,
    video_commands.retry,
    video_commands.cancel,
    video_commands.reencode,
    video_commands.delete,
)
OPERATOR_COMMANDS = (
    run_command.run,
    migrate_command.migrate,
    operator_commands.token,
    operator_commands.ops_link,
    operator_commands.backfill,
    operator_commands.rollback,
    operator_commands.clean,
    move_command.move,
    operator_commands.doctor,
)

for command in VIDEO_COMMANDS:
    app.command(rich_help_panel="Videos")(command)
for command in OPERATOR_COMMANDS:
    app.command(rich_help_panel="Operators")(command)
app.add_typer(audit_commands.app, name="audit", rich_help_panel="Operators")
app.add_typer(api_key_commands.app, name="keys", rich_help_panel="Operators")
app.add_typer(secret_commands.app, name="secrets", rich_help_panel="Operators")
app.add_typer(provider_commands.app, name="providers", rich_help_panel="Operators")
app.add_typer(rollout_commands.app, name="rollout", rich_help_panel="Operators")
