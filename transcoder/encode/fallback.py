"""Progressive MP4 for players without HLS: a copy of one rendition's packets."""

from collections.abc import Sequence
from pathlib import Path

from transcoder.encode.ffmpeg_arguments import ffmpeg_prefix, rendition_input
from transcoder.encode.ladder import Rung

FALLBACK = "fallback/video.mp4"

_LARGEST_SHORT_SIDE = 720  # one file has to suit every device and link


def fallback_rung(rungs: Sequence[Rung]) -> Rung:
    """Return the largest rung of at most 720p, or the smallest rung if all are larger."""
    for rung in rungs:
        if min(rung.width, rung.height) <= _LARGEST_SHORT_SIDE:
            return rung
    return rungs[-1]


def remux_command(rendition: Path, *, ffmpeg: str, into: Path) -> list[str]:
    """Build the command that copies the packets of a rendition's folder into one MP4.

    `faststart` puts the index at the front, so that playback and seeking need no second connection
    to the end of the file.
    """
    return [
        *ffmpeg_prefix(ffmpeg),
        *rendition_input(rendition),
        *("-map", "0:v", "-map", "0:a?", "-c", "copy", "-map_metadata", "-1"),
        # The sound's priming samples have timestamps before zero. They keep them, behind an edit
        # list; a shift to zero would delay the picture.
        *("-copyts", "-avoid_negative_ts", "disabled"),
        *("-movflags", "+faststart", "-f", "mp4", str(into)),
    ]
