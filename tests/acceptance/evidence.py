"""``make evidence``: tell every story on a stack of its own, and write down what was seen.

The five stories are told with our own transcoder, and once more with each vendor, whose part a fake
of its published contract plays. Of each of these parts nothing is written unless all of it holds.
"""

import json
import logging
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from os import environ
from typing import Annotated

import typer
from sqlalchemy import text

from pipeline.providers.registry import adapter_names
from pipeline.runtime.database import make_engine, session_of
from stack.home import CHECKOUT, Home
from stack.stop_signals import StopRequested, stop_on_signals
from tests.acceptance.exchanges import secrets_in
from tests.acceptance.page import page_of
from tests.acceptance.photographs import photograph
from tests.acceptance.stage import PROVIDER, QUICKER, Stage, TookTooLong, open_stage, settings_for
from tests.acceptance.stories import STORIES
from tests.acceptance.tap import open_tap
from tests.acceptance.telling import Story, StoryDoesNotHold, Telling
from tests.acceptance.vendor_stage import (
    WAITS,
    VendorStage,
    VendorStory,
    open_vendor_stages,
    own_folder,
)
from tests.acceptance.vendor_stories import failover, five
from tests.acceptance.verification import (
    FAILOVER,
    FAKE,
    NAMES,
    OURSELVES,
    RECORD,
    Held,
    merged,
    read_record,
    verification_page,
)
from tests.browser.camera import open_camera
from tests.running import running_stack_process
from tests.vendors.directed import VENDORS

DOCS = CHECKOUT / "docs"
PAGES = DOCS / "evidence"

DEFAULT_PORT = 8080
"""Where a tunnel to this machine ends, unless PORT says otherwise."""


FAILS_OVER = "mux"
"""The vendor whose account fails in the story of a failover."""


class NoStories(Exception):
    """The stories cannot be told with the provider; the message says why."""


class Part(StrEnum):
    """The parts of the evidence."""

    OURS = "ours"
    """The five stories with our own transcoder, with pictures."""
    VENDORS = "vendors"
    """The five stories with the fake of each vendor, and the failover; text alone."""


def main(
    provider: Annotated[str, typer.Option(help="The account that processes.")] = PROVIDER,
    public_url: Annotated[
        str | None,
        typer.Option(help="Where this machine's PORT is reached by a provider elsewhere."),
    ] = None,
    part: Annotated[Part | None, typer.Option(help="One part alone.")] = None,
) -> None:
    """Tell the stories and write docs/evidence and docs/verification.md."""
    try:
        _require_stories(provider)
        with stop_on_signals():
            if part in {None, Part.OURS}:
                _tell_ours(provider, public_url)
            if part in {None, Part.VENDORS}:
                _tell_vendors()
    except StopRequested as error:
        _fail(f"stopped by {error}; nothing was written of the part under way")
    except (NoStories, StoryDoesNotHold, TookTooLong) as error:
        _fail(f"{error}\nevidence: nothing was written of this part")
    typer.echo(f"evidence: every story holds; see {PAGES.relative_to(CHECKOUT)}")


def _require_stories(provider: str) -> None:
    """Refuse an account whose failures cannot be provoked from here.

    Raises:
        NoStories: It is unknown, or a vendor's.
    """
    known = adapter_names()
    if provider not in known:
        raise NoStories(f"There is no adapter for {provider!r}. Known: {', '.join(known)}.")
    if provider != PROVIDER:
        raise NoStories(
            f"The stories of a live account of {provider!r} are not written yet. A fake of its "
            "published contract plays its part in `make evidence PART=vendors`."
        )


def _tell_ours(provider: str, public_url: str | None) -> None:
    told_at = datetime.now(UTC)
    with running_stage(provider, public_url) as stage:
        made_with = _made_with(stage, told_at)
        told = _tell_all(stage)
        pages = {s.name: page_of(s, telling, made_with) for s, telling in told.items()}
        _refuse_secrets(pages, stage)
    _write(told, pages)
    _record({story.name: {PROVIDER: OURSELVES} for story in STORIES}, told_at)


def _tell_vendors() -> None:
    """Tell the five stories with each vendor, and the failover on a stack with two accounts."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    told_at, pages = datetime.now(UTC), dict[str, str]()
    with own_folder() as root, open_vendor_stages(root, VENDORS) as stages:
        for name, at in stages.items():
            pages[name] = _vendor_page(at, five_of(name), told_at)
        _refuse_secrets(pages, at.stage)
    with own_folder() as root, open_vendor_stages(root, [FAILS_OVER]) as stages:
        at = stages[FAILS_OVER]
        page = {FAILOVER: _vendor_page(at, failover.STORY, told_at)}
        _refuse_secrets(page, at.stage)
    for name, content in {**pages, **page}.items():
        (PAGES / f"{name}.md").write_text(content)
    held = {story.name: dict.fromkeys(VENDORS, FAKE) for story in STORIES}
    _record({**held, FAILOVER: {FAILS_OVER: FAKE, PROVIDER: OURSELVES}}, told_at)


def five_of(name: str) -> VendorStory:
    """The five stories at a vendor, as one page."""
    return VendorStory(name, f"{NAMES[name]}: the five stories", five.PROVES, five.tell_all)


def _vendor_page(at: VendorStage, story: VendorStory, told_at: datetime) -> str:
    typer.echo(f"evidence: {story.title}")
    telling = Telling()
    story.tell(at, telling)
    heading = Story(story.name, story.title, story.proves, lambda *_: None)
    return page_of(heading, telling, _made_with(at.stage, told_at, WAITS))


def _record(held: Held, told_at: datetime) -> None:
    """Add the stories that held to the record, and write the summary anew."""
    record = merged(read_record(), held, told_at)
    RECORD.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    (DOCS / "verification.md").write_text(verification_page(STORIES, record))


@contextmanager
def running_stage(provider: str, public_url: str | None) -> Iterator[Stage]:
    """A stack of its own in a folder of its own, both gone afterwards."""
    port = int(environ.get("PORT") or DEFAULT_PORT) if public_url else 0
    with own_folder() as root, open_tap(port) as tap:
        settings = settings_for(tap, provider=provider, public_url=public_url)
        with (
            running_stack_process(Home(root / "stack"), settings) as stack,
            open_stage(stack, tap, root, provider=provider) as stage,
        ):
            yield stage


def _tell_all(stage: Stage) -> dict[Story, Telling]:
    """Tell every story, and photograph each while its tasks are the latest."""
    told = {}
    with open_camera() as camera:
        if camera is None:
            typer.echo("evidence: no Chromium on PATH, so there will be no pictures of pages")
        for story in STORIES:
            told[story] = _tell(stage, story)
            photograph(camera, stage, story, told[story])
    return told


def _tell(stage: Stage, story: Story) -> Telling:
    """Tell one story, and say on the terminal what it claimed."""
    typer.echo(f"evidence: {story.title}")
    telling = Telling()
    try:
        story.tell(stage, telling)
    finally:
        for sentences in telling.claims.values():
            for sentence in sentences:
                typer.echo(f"  holds: {sentence}")
    return telling


def _made_with(stage: Stage, told_at: datetime, waits: Mapping[str, str] = QUICKER) -> str:
    """The run in a sentence: when, and with which servers and tools."""
    command = [stage.tools.ffmpeg, "-version"]
    banner = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    engine = make_engine(stage.books.operator_url, pool_size=1)
    with session_of(engine) as session:
        postgres = session.scalars(text("SHOW server_version")).one()
    engine.dispose()
    shorter = ", ".join(f"`{name}={value}`" for name, value in waits.items())
    return (
        f"`make evidence` made this page on {told_at:%Y-%m-%d at %H:%M} UTC with Python "
        f"{platform.python_version()}, PostgreSQL {postgres} and ffmpeg {banner.split()[2]}. "
        f"The stack ran as `make up` runs it, but for shorter waits: {shorter}."
    )


def _refuse_secrets(pages: Mapping[str, str], stage: Stage) -> None:
    for name, content in pages.items():
        found = secrets_in(content, stage.stack.environment)
        if found:
            raise StoryDoesNotHold(f"The page {name} would give away {', '.join(found)}.")


def _write(told: Mapping[Story, Telling], pages: Mapping[str, str]) -> None:
    """Replace every page and picture of the run before."""
    PAGES.mkdir(exist_ok=True)
    for story in told:
        for old in PAGES.glob(f"{story.name}*"):
            old.unlink()
    for story, telling in told.items():
        (PAGES / f"{story.name}.md").write_text(pages[story.name])
        for picture in telling.pictures:
            (PAGES / picture.name).write_bytes(picture.content)


def _fail(message: str) -> None:
    typer.echo(f"evidence: {message}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
