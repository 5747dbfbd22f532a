"""The command ``khronika``."""

import typer

from cli import changes, keys, operations, ops_link, secrets, upkeep, videos

app = typer.Typer(
    name="khronika",
    help="""Send videos, follow what becomes of them, and look after the pipeline.

    Without options it talks to the stack that `make up` runs from this checkout, as the owner
    "demo". Elsewhere set KHRONIKA_URL and KHRONIKA_TOKEN.

    Every command takes --json: then stdout holds JSON and nothing else, one document a line; an
    error is {"error": {"code", "message", "next_step", …}}.

    Exit codes: 0 done; 1 done, and the answer is bad (the video failed, doctor found a problem);
    2 the command line or the settings are wrong; 3 the API refused; 4 no answer, or trouble on
    the other side; 130 interrupted.
    """,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they hold tokens
)

_VIDEOS = "Videos"
_OPERATORS = "Operators"

app.command(rich_help_panel=_VIDEOS)(videos.submit)
app.command(rich_help_panel=_VIDEOS)(videos.status)
app.command(rich_help_panel=_VIDEOS)(videos.events)
app.command(rich_help_panel=_VIDEOS)(videos.watch)
app.command(rich_help_panel=_VIDEOS)(videos.retry)
app.command(rich_help_panel=_VIDEOS)(changes.cancel)
app.command(rich_help_panel=_VIDEOS)(changes.reencode)
app.command(rich_help_panel=_VIDEOS)(changes.delete)
app.command(rich_help_panel=_OPERATORS)(operations.token)
app.command(rich_help_panel=_OPERATORS)(ops_link.ops_link)
app.command(rich_help_panel=_OPERATORS)(operations.backfill)
app.command(rich_help_panel=_OPERATORS)(upkeep.rollback)
app.command(rich_help_panel=_OPERATORS)(upkeep.clean)
app.add_typer(keys.app, name="keys", rich_help_panel=_OPERATORS)
app.add_typer(secrets.app, name="secrets", rich_help_panel=_OPERATORS)
app.command(rich_help_panel=_OPERATORS)(operations.doctor)
