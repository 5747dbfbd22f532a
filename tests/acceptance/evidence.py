"""``make evidence``: tell every story on a stack of its own, and write down what was seen.

Nothing is written unless every story holds.
"""

import pkgutil
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from os import environ, geteuid
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import text

from pipeline import providers
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
from tests.acceptance.verification import verification_page
from tests.browser.camera import open_camera
from tests.running import running_stack_process

DOCS = CHECKOUT / "docs"
PAGES = DOCS / "evidence"

DEFAULT_PORT = 8080
"""Where a tunnel to this machine ends, unless PORT says otherwise."""


class NoAdapter(Exception):
    """There is no adapter for the provider; the message says what there is."""


def main(
    provider: Annotated[str, typer.Option(help="The account that processes.")] = PROVIDER,
    public_url: Annotated[
        str | None,
        typer.Option(help="Where this machine's PORT is reached by a provider elsewhere."),
    ] = None,
) -> None:
    """Tell the five stories and write docs/evidence and docs/verification.md."""
    try:
        _require_adapter(provider)
        with stop_on_signals():
            told_at = datetime.now(UTC)
            with running_stage(provider, public_url) as stage:
                made_with = _made_with(stage, told_at)
                told = _tell_all(stage)
                pages = {s.name: page_of(s, telling, made_with) for s, telling in told.items()}
                _refuse_secrets(pages, stage)
            _write(told, pages)
            summary = verification_page(STORIES, made_with, told_at)
            (DOCS / "verification.md").write_text(summary)
    except StopRequested as error:
        _fail(f"stopped by {error}; nothing was written")
    except (NoAdapter, StoryDoesNotHold, TookTooLong) as error:
        _fail(f"{error}\nevidence: nothing was written")
    typer.echo(f"evidence: {len(STORIES)} stories hold; see {PAGES.relative_to(CHECKOUT)}")


def _require_adapter(provider: str) -> None:
    """An adapter is one module of ``pipeline.providers``, named as its provider.

    Raises:
        NoAdapter: there is none of this name.
    """
    modules = {module.name for module in pkgutil.iter_modules(providers.__path__)}
    known = sorted(modules - {"base"})
    if provider not in known:
        raise NoAdapter(
            f"There is no adapter for {provider!r} yet, so its stories cannot be told. "
            f"There is one for: {', '.join(known)}."
        )


@contextmanager
def running_stage(provider: str, public_url: str | None) -> Iterator[Stage]:
    """A stack of its own in a folder of its own, both gone afterwards."""
    port = int(environ.get("PORT") or DEFAULT_PORT) if public_url else 0
    root = Path(tempfile.mkdtemp(prefix="khronika-evidence-"))
    if geteuid() == 0:
        root.chmod(0o711)  # the Postgres server runs as somebody else
    try:
        with open_tap(port) as tap:
            settings = settings_for(tap, provider=provider, public_url=public_url)
            with (
                running_stack_process(Home(root / "stack"), settings) as stack,
                open_stage(stack, tap, root, provider=provider) as stage,
            ):
                yield stage
    finally:
        shutil.rmtree(root, ignore_errors=True)


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


def _made_with(stage: Stage, told_at: datetime) -> str:
    """The run in a sentence: when, and with which servers and tools."""
    command = [stage.tools.ffmpeg, "-version"]
    banner = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    engine = make_engine(stage.books.operator_url, pool_size=1)
    with session_of(engine) as session:
        postgres = session.scalars(text("SHOW server_version")).one()
    engine.dispose()
    waits = ", ".join(f"`{name}={value}`" for name, value in QUICKER.items())
    return (
        f"`make evidence` made this page on {told_at:%Y-%m-%d at %H:%M} UTC with Python "
        f"{platform.python_version()}, PostgreSQL {postgres} and ffmpeg {banner.split()[2]}. "
        f"The stack ran as `make up` runs it, but for shorter waits: {waits}."
    )


def _refuse_secrets(pages: Mapping[str, str], stage: Stage) -> None:
    for name, content in pages.items():
        found = secrets_in(content, stage.stack.environment)
        if found:
            raise StoryDoesNotHold(f"The page {name} would give away {', '.join(found)}.")


def _write(told: Mapping[Story, Telling], pages: Mapping[str, str]) -> None:
    """Replace every page and picture of the run before."""
    PAGES.mkdir(exist_ok=True)
    for pattern in ("*.md", "*.jpg", "*.webp"):
        for old in PAGES.glob(pattern):
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
