"""Poster and thumbnail: one frame of the finished video, not a black one if there is another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.media.frames import is_black, luma_of
from pipeline.media.tools import Tools
from transcoder.encode.ffmpeg_arguments import (
    ffmpeg_prefix,
    jpeg_output,
    jpeg_scale,
    local_input,
)
from transcoder.encode.ladder import Rung, nearest_even

POSTER = "poster.jpg"
THUMBNAIL = "thumb.jpg"

POSTER_WIDTH = 1280
THUMBNAIL_WIDTH = 320

_FRAMES_COMPARED = 50
"""Frames that `thumbnail` chooses from: about two seconds, longer than a fade or a flash."""
_LOOK_AT = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Instants to try, as shares of the duration, the first after the opening titles."""
_JPEG_QUALITY = 3


@dataclass(frozen=True)
class PosterInstant:
    """Instant to take a picture at: that frame if `exact`, else the most typical of the next."""

    at_sec: float
    exact: bool


def poster_instants(duration_sec: float, wanted_sec: float | None) -> tuple[PosterInstant, ...]:
    """List the instants to try, best first: the wanted one, then representative ones."""
    # A wanted instant past the end becomes the last frame; a seek to the very end finds none.
    last_sec = max(0.0, duration_sec - 0.2)
    wanted = [] if wanted_sec is None else [PosterInstant(min(wanted_sec, last_sec), exact=True)]
    others = [PosterInstant(share * last_sec, exact=False) for share in _LOOK_AT]
    return (*wanted, *others, PosterInstant(0.0, exact=False))


def picture_command(
    video: Path, size: Rung, instant: PosterInstant, *, ffmpeg: str, into: Path
) -> list[str]:
    """Build the command that writes a poster and a thumbnail of one frame into a folder."""
    pick = "" if instant.exact else f"thumbnail={_FRAMES_COMPARED},"
    graph = f"[0:v]{pick}split=2[p][t];[p]{_scale(size, POSTER_WIDTH)}[poster];"
    graph += f"[t]{_scale(size, THUMBNAIL_WIDTH)}[thumbnail]"
    command = [*ffmpeg_prefix(ffmpeg), "-ss", f"{instant.at_sec:.3f}"]
    command += local_input(video, container="mov")
    command += ["-filter_complex", graph]
    for pad, name in (("poster", POSTER), ("thumbnail", THUMBNAIL)):
        command += ["-map", f"[{pad}]", *jpeg_output(into / name, quality=_JPEG_QUALITY)]
    return command


def _scale(size: Rung, max_width: int) -> str:
    width = min(max_width, size.width)
    return ",".join(jpeg_scale(width, nearest_even(width * size.height / size.width)))


def first_bright_folder(folders: Sequence[Path] | Iterator[Path], tools: Tools) -> Path | None:
    """Return the first folder whose poster is not black, else the brightest one; None for none.

    Args:
        folders: Folders with pictures, made on demand, best first.
        tools: Path of ffmpeg.
    """
    brightest: tuple[float, Path] | None = None
    for folder in folders:
        luma = luma_of(folder / POSTER, tools)
        if not is_black(luma):
            return folder
        if brightest is None or luma.mean > brightest[0]:
            brightest = (luma.mean, folder)
    return brightest[1] if brightest else None
