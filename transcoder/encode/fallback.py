"""The progressive MP4, for players without HLS: a rendition's own packets in another wrapper."""

from collections.abc import Sequence
from pathlib import Path

from transcoder.encode.encode_command import PLAYLIST
from transcoder.encode.ladder import Rung

FALLBACK = "fallback/video.mp4"

_LARGEST_SHORT_SIDE = 720  # one file has to suit every device and link


def fallback_rung(rungs: Sequence[Rung]) -> Rung:
    """The largest rung of at most 720p, or the smallest there is."""
    for rung in rungs:
        if min(rung.width, rung.height) <= _LARGEST_SHORT_SIDE:
            return rung
    return rungs[-1]


def remux_command(rendition: Path, *, ffmpeg: str, into: Path) -> list[str]:
    """Build the command that copies the packets of a rendition's folder into one MP4.

    The index goes to the front (`faststart`), so that playback and seeking need no second
    connection to the end of the file.
    """
    return [
        *(ffmpeg, "-hide_banner", "-nostdin", "-y", "-loglevel", "warning"),
        *("-nostats", "-progress", "pipe:1"),
        *("-protocol_whitelist", "file", "-format_whitelist", "hls,mov"),
        *("-f", "hls", "-i", str(rendition / PLAYLIST)),
        *("-map", "0:v", "-map", "0:a?", "-c", "copy", "-map_metadata", "-1"),
        # The sound's priming samples lie before zero: they stay there, behind an edit list,
        # instead of pushing the picture later.
        *("-copyts", "-avoid_negative_ts", "disabled"),
        *("-movflags", "+faststart", "-f", "mp4", str(into)),
    ]
