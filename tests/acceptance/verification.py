"""The page docs/verification.md: the stories that held, by provider."""

from collections.abc import Sequence
from datetime import datetime

from tests.acceptance import page
from tests.acceptance.stage import PROVIDER
from tests.acceptance.telling import Story

VENDORS = ("Mux", "Cloudflare Stream", "api.video", "AWS Elemental MediaConvert")
"""The vendors that the design names. None has an adapter yet."""

NOT_YET = "not yet"

WORDS = """The words in the table:

- **live**: the stories ran with the provider's own service, over the Internet, with an account
  there.
- **self-hosted**: the stories ran with the transcoder of this repository as the provider. It is an
  HTTP service with its own processes, database schema and credentials, and it signs its callbacks.
- **not yet**: no story ran; there is no adapter."""

NOT_SHOWN = """A live run adds the vendor's network and behaviour: the delay of callbacks,
their order, and the form of its errors. This page says nothing about them. Once a vendor has an
adapter and an account is configured, `make evidence PROVIDER=<name> PUBLIC_URL=<an address that
leads to this machine's PORT>` runs the same stories with it. Until then that command fails and says
that there is no adapter."""


def verification_page(stories: Sequence[Story], made_with: str, told_at: datetime) -> str:
    """Write the page, after every story has held.

    Args:
        stories: The stories that ran.
        made_with: The run, in a sentence.
        told_at: The start of the run.
    """
    date = told_at.date().isoformat()
    ours = f"self-hosted, {date}"
    blocks = [
        page.heading("What is verified, provider by provider", 1),
        page.GENERATED,
        f"{made_with} A story has a row because it held. If one does not hold, nothing is written.",
        page.table(
            ("story", f"`{PROVIDER}`", *VENDORS),
            [
                (f"[{story.title}](evidence/{story.name}.md)", ours, *(NOT_YET for _ in VENDORS))
                for story in stories
            ],
        ),
        WORDS,
        NOT_SHOWN,
    ]
    return "\n\n".join(blocks) + "\n"
