"""A link into the operators' console, for whoever holds the installation's key."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from cli import options
from cli.outcomes import reporting


def ops_link(
    *,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For one who looks and changes nothing.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Print a link that signs you in to the console at /ops: once, within a minute."""
    from cli.operator import configured, present_operator  # noqa: PLC0415 - takes long to import
    from pipeline.operator_links import LIFE_SEC, sign_link  # noqa: PLC0415

    with reporting(as_json) as output:
        settings = configured()
        subject = present_operator().actor.removeprefix("operator:")
        token = sign_link(
            settings.secret_key.get_secret_value(),
            subject,
            reads_only=read_only,
            now=datetime.now(UTC),
        )
        url = f"{settings.base_url}/ops/sign-in?link={token}"
        output.data({"url": url, "subject": subject, "expires_in_sec": LIFE_SEC})
        output.show(Text(url))
