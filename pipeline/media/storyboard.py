"""Reading the cues of a storyboard that a provider wrote.

They are WebVTT (W3C, https://www.w3.org/TR/webvtt1/) whose payloads are addresses of an image with
a part of it as a fragment (Media Fragments URI 1.0, `#xywh=` in pixels). Addresses are only
reported; whoever follows one decides what it may point at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

MAX_CHARS = 512 * 1024  # five thousand pictures, fifty times what a timeline has room for

_LINE_END = re.compile(r"\r\n|\n|\r")
_TIME = r"(?:(\d{2,4}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMES = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?")
# Printable ASCII without the backslash, which browsers take for a slash and others do not.
_PLACE = re.compile(r"([!-\[\]-~]*)#xywh=(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})")
_NO_CUE = ("NOTE", "STYLE", "REGION")


class StoryboardInvalid(Exception):
    """The text is no usable storyboard; the message is one sentence for people."""


@dataclass(frozen=True)
class Cue:
    """One picture: which seconds it stands for, and where it lies in which image."""

    start_sec: float
    end_sec: float
    uri: str
    x: int
    y: int
    width: int
    height: int

    def lies_within(self, width: int, height: int) -> bool:
        """Whether its picture is a part of an image of that many pixels."""
        return self.x + self.width <= width and self.y + self.height <= height


def parse_cues(text: str) -> tuple[Cue, ...]:
    """Read a storyboard's cues; there is at least one, and they follow each other in time.

    Raises:
        StoryboardInvalid: It is something else, too large, or a cue names no picture.
    """
    if len(text) > MAX_CHARS:
        raise StoryboardInvalid("It is too large.")
    head, *blocks = _blocks(text.removeprefix("\ufeff"))
    if not re.fullmatch(r"WEBVTT(?:[ \t].*)?", head[0]):
        raise StoryboardInvalid("It does not begin with WEBVTT.")
    cues = tuple(_cue(block) for block in blocks if not block[0].startswith(_NO_CUE))
    if not cues:
        raise StoryboardInvalid("It has no cues.")
    if any(following.start_sec < cue.end_sec for cue, following in pairwise(cues)):
        raise StoryboardInvalid("Its cues do not follow each other.")
    return cues


def _blocks(text: str) -> Iterator[list[str]]:
    """The first line, and what blank lines keep apart; at least one block."""
    block: list[str] = []
    for number, line in enumerate(_LINE_END.split(text)):
        if line or not number:
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _cue(block: list[str]) -> Cue:
    if "-->" not in block[0]:  # its name
        block = block[1:]
    times = _TIMES.fullmatch(block[0]) if block else None
    place = _PLACE.fullmatch("\n".join(block[1:]).strip())
    if times is None or place is None:
        raise StoryboardInvalid("A cue does not say when it shows which part of an image.")
    x, y, width, height = (int(number) for number in place.groups()[1:])
    cue = Cue(
        _seconds(*times.groups()[:4]), _seconds(*times.groups()[4:]), place[1], x, y, width, height
    )
    if cue.end_sec <= cue.start_sec or not width or not height:
        raise StoryboardInvalid("A cue shows nothing, or for no time.")
    return cue


def _seconds(hours: str | None, minutes: str, seconds: str, milliseconds: str) -> float:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + int(milliseconds) / 1000
