"""Reader of the cues of a storyboard that a provider wrote.

Cues are WebVTT (W3C, https://www.w3.org/TR/webvtt1/). The payload of a cue is the address of an
image; its fragment names a part of the image (Media Fragments URI 1.0, `#xywh=` in pixels). The
reader reports addresses and follows none; the caller checks an address before it follows it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

MAX_CHARS = 512 * 1024  # five thousand pictures; a timeline has room for a hundred

_LINE_END = re.compile(r"\r\n|\n|\r")
_TIME = r"(?:(\d{2,4}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMES = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?")
# Printable ASCII without the backslash, which only browsers take for a slash.
_PLACE = re.compile(r"([!-\[\]-~]*)#xywh=(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})")
_NO_CUE = ("NOTE", "STYLE", "REGION")


class StoryboardInvalid(Exception):
    """The text is no usable storyboard; the message is one sentence for people."""


@dataclass(frozen=True)
class Cue:
    """One picture: its seconds of the video, its image, and its place in the image, in pixels."""

    start_sec: float
    end_sec: float
    uri: str
    x: int
    y: int
    width: int
    height: int

    def lies_within(self, width: int, height: int) -> bool:
        """Return True if the picture lies within an image of that many pixels."""
        return self.x + self.width <= width and self.y + self.height <= height


def parse_cues(text: str) -> tuple[Cue, ...]:
    """Read a storyboard's cues: at least one, in the order of time.

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
    """Yield the blocks of lines between blank lines; the first holds the first line."""
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
    if "-->" not in block[0]:  # the name of the cue
        block = block[1:]
    times = _TIMES.fullmatch(block[0]) if block else None
    place = _PLACE.fullmatch("\n".join(block[1:]).strip())
    if times is None or place is None:
        raise StoryboardInvalid("A cue lacks its times or its part of an image.")
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
