"""What a story has claimed, and what it has to show for it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.acceptance.stage import Stage, Video


class StoryDoesNotHold(Exception):
    """Something a story claims is not so; the message says what, and what was found instead."""


@dataclass(frozen=True)
class Picture:
    """A JPEG or WebP beside the page."""

    name: str
    content: bytes
    caption: str


@dataclass
class Telling:
    """One telling of a story: every claim that held, and the page that shows it.

    Attributes:
        claims: Sentences by chapter, each checked when it was added.
        blocks: Pieces of Markdown, in order.
        videos: Those that it gave an account of.
    """

    claims: dict[str, list[str]] = field(default_factory=lambda: {"": []})
    blocks: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    videos: list[Video] = field(default_factory=list)

    @property
    def _claimed(self) -> list[str]:
        """The claims of the chapter under way."""
        return self.claims[next(reversed(self.claims))]

    def chapter(self, title: str) -> None:
        """Begin a chapter of the page; what is claimed from here on belongs to it."""
        self.claims[title] = []
        self.show(f"## {title}")

    def claim(self, sentence: str, holds: bool, found: object = None) -> None:
        """Check and keep.

        Raises:
            StoryDoesNotHold: it is not so.
        """
        if not holds:
            instead = "" if found is None else f" Found: {found!r}"
            raise StoryDoesNotHold(f"This does not hold: {sentence}{instead}")
        self._claimed.append(sentence)

    def show(self, *blocks: str) -> None:
        """Add to the page."""
        self.blocks.extend(blocks)


@dataclass(frozen=True)
class Story:
    """A story that can be told on any running stack.

    Attributes:
        name: Of its page, without the suffix.
        title: Its heading.
        proves: What a reader is to believe afterwards, in two sentences.
        tell: Makes it happen, claims and shows. Raises `StoryDoesNotHold`.
    """

    name: str
    title: str
    proves: str
    tell: Callable[[Stage, Telling], None]
