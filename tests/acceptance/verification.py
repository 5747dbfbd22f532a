"""docs/verification.md: what has been shown of each provider, and how."""

from collections.abc import Sequence
from datetime import datetime

from tests.acceptance import page
from tests.acceptance.stage import PROVIDER
from tests.acceptance.telling import Story

VENDORS = ("Mux", "Cloudflare Stream", "api.video", "AWS Elemental MediaConvert")
"""Providers the design names. None of them has an adapter yet."""

NOT_YET = "not yet"

WORDS = """The words in the table:

- **live**: the stories were told with the provider's own service, over the Internet, with an
  account there.
- **self-hosted**: the stories were told with the transcoder of this repository as the provider: an
  HTTP service of its own, with processes, database schema and credentials of its own, which signs
  its callbacks.
- **not yet**: nothing was shown; there is no adapter."""

WHAT_IS_MISSING = """What a live run adds is the vendor's network and its habits: how late callbacks
come, in which order, and what its errors look like. Nothing here says anything about those. Once a
vendor has an adapter and an account is configured, `make evidence PROVIDER=<name> PUBLIC_URL=<an
address that leads to this machine's PORT>` tells the same stories with it; until then that command
says that there is no adapter, and fails."""


def verification_page(stories: Sequence[Story], made_with: str, told_at: datetime) -> str:
    """The page, after every story has held.

    Args:
        stories: Those that were told.
        made_with: The run, in a sentence.
        told_at: When it began.
    """
    date = told_at.date().isoformat()
    ours = f"self-hosted, {date}"
    blocks = [
        page.heading("What is verified, provider by provider", 1),
        page.GENERATED,
        f"{made_with} A row is here because its story held: when one does not, nothing is written.",
        page.table(
            ("story", f"`{PROVIDER}`", *VENDORS),
            [
                (f"[{story.title}](evidence/{story.name}.md)", ours, *(NOT_YET for _ in VENDORS))
                for story in stories
            ],
        ),
        WORDS,
        WHAT_IS_MISSING,
    ]
    return "\n\n".join(blocks) + "\n"
