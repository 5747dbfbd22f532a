"""The page docs/verification.md: the stories that held, by provider and in which way."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from stack.home import CHECKOUT
from tests.acceptance import page
from tests.acceptance.stage import PROVIDER
from tests.acceptance.telling import Story

NAMES = {
    PROVIDER: f"`{PROVIDER}`",
    "mux": "Mux",
    "cloudflare_stream": "Cloudflare Stream",
    "api_video": "api.video",
    "mediaconvert": "AWS Elemental MediaConvert",
}
"""The providers, by adapter, in the order of the table."""

FAILOVER = "6-failover"
FAILOVER_TITLE = "6. Failover: another account takes over"
RECORD = CHECKOUT / "docs" / "evidence" / "held.json"
"""The stories that held at their last run, by story and provider."""

OURSELVES = "self-hosted"
FAKE = "fake of the published contract"
NOT_YET = "not yet"

Held = Mapping[str, Mapping[str, str]]
"""The way in which a story held, by story and provider."""
Record = Mapping[str, Mapping[str, Mapping[str, str]]]

MADE = """`make evidence` writes this page. A story has an entry because it held, on that day. If it
does not hold, nothing of its part is written."""

WORDS = f"""The words in the table:

- **live**: the stories ran with the provider's own service, over the Internet, with an account
  there. No story has run so yet.
- **{OURSELVES}**: the stories ran with the transcoder of this repository as the provider. It is an
  HTTP service with its own processes, database schema and credentials, and it signs its callbacks.
- **{FAKE}**: the stories ran on a whole stack against a server on the same machine that
  answers, refuses and calls back as the vendor documents. Requests are held against the vendor's
  published description, where there is one that a machine can read.
- **{NOT_YET}**: no story ran."""

NOT_SHOWN = """A fake shows that our side follows the contract as it is published. It cannot show
that the vendor does: a live run adds its network and behaviour, the delay and order of its
callbacks, and the form of its errors. This page says nothing about them. In the failover, the
account of Mux fails and our own transcoder takes over."""


def read_record() -> dict[str, Any]:
    """Return the stories that held at their last run."""
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    return record


def merged(record: Record, held: Held, told_at: datetime) -> dict[str, Any]:
    """Return the record with the stories that held now."""
    date = told_at.date().isoformat()
    now = {
        story: {name: {"way": way, "date": date} for name, way in ways.items()}
        for story, ways in held.items()
    }
    return {story: {**record.get(story, {}), **now.get(story, {})} for story in {**record, **now}}


def verification_page(stories: Sequence[Story], record: Record) -> str:
    """Write the page."""
    titles = {**{story.name: story.title for story in stories}, FAILOVER: FAILOVER_TITLE}
    rows = [
        (
            f"[{title}](evidence/{name}.md)",
            *(_cell(record.get(name, {}).get(provider)) for provider in NAMES),
        )
        for name, title in titles.items()
    ]
    blocks = [
        page.heading("What is verified, provider by provider", 1),
        page.GENERATED,
        MADE,
        page.table(("story", *map(_head, NAMES)), rows),
        WORDS,
        NOT_SHOWN,
    ]
    return "\n\n".join(blocks) + "\n"


def _head(provider: str) -> str:
    """The provider, with its page if it has one of its own."""
    if provider == PROVIDER:
        return NAMES[provider]
    return f"[{NAMES[provider]}](evidence/{provider}.md)"


def _cell(entry: Mapping[str, str] | None) -> str:
    return f"{entry['way']}, {entry['date']}" if entry else NOT_YET
