"""Check of captions that a provider wrote: WebVTT (W3C, https://www.w3.org/TR/webvtt1/).

The text of a cue is not looked at: players show it as text.
"""

import re

MAX_CAPTION_BYTES = 4 * 1024 * 1024
"""Most bytes of a file of captions: a day of speech has about one million characters."""

_SIGNATURE = re.compile(r"WEBVTT(?:[ \t][^\r\n]*)?(?:[\r\n]|$)")
_LINE_END = re.compile(r"\r\n|\n|\r")
_TIME = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMES = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?")


class CaptionsInvalid(Exception):
    """The text is no WebVTT; the message is one sentence for people."""


def check_captions(body: bytes) -> None:
    """Check that a file or a segment of captions is WebVTT. One without cues is.

    Raises:
        CaptionsInvalid: It is something else, or a cue lacks its times.
    """
    try:
        text = body.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise CaptionsInvalid("It is no text in UTF-8.") from None
    if _SIGNATURE.match(text) is None:
        raise CaptionsInvalid("It does not begin with WEBVTT.")
    for line in _LINE_END.split(text):
        if "-->" in line:
            _check_times(line)


def _check_times(line: str) -> None:
    times = _TIMES.fullmatch(line)
    if times is None:
        raise CaptionsInvalid("A cue lacks its times.")
    start, end = (_millisec(*times.groups()[at : at + 4]) for at in (0, 4))
    if end <= start:
        raise CaptionsInvalid("A cue is shown for no time.")


def _millisec(hours: str | None, minutes: str, seconds: str, millisec: str) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(millisec)
