"""The poster and the thumbnail: one frame of the finished video, and not a black one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.media.frames import is_black, luma_of
from pipeline.media.tools import Tools
from transcoder.encode.encode_command import local_input
from transcoder.encode.ladder import Rung

POSTER = "poster.jpg"
THUMBNAIL = "thumb.jpg"

POSTER_WIDTH = 1280
THUMBNAIL_WIDTH = 320

_FRAMES_COMPARED = 50
"""How many frames `thumbnail` chooses from: two seconds, enough to leave a fade or a flash."""
_LOOK_AT = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where to look, as shares of the duration: past the titles first."""
_JPEG_QUALITY = "3"  # 2 is the best of ffmpeg's scale, 31 the worst


@dataclass(frozen=True)
class PosterInstant:
    """A place to take a picture from: that frame exactly, or the most typical of those after it."""

    at_sec: float
    exact: bool


def poster_instants(duration_sec: float, wanted_sec: float | None) -> tuple[PosterInstant, ...]:
    """Where to try, best first: the frame that was asked for, then representative ones."""
    # A picture asked for past the end is the last one; seeking to the very end finds nothing.
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
    command = [ffmpeg, "-hide_banner", "-nostdin", "-y", "-loglevel", "warning"]
    command += ["-nostats", "-progress", "pipe:1", "-ss", f"{instant.at_sec:.3f}"]
    command += local_input(video, container="mov")
    command += ["-filter_complex", graph]
    for pad, name in (("poster", POSTER), ("thumbnail", THUMBNAIL)):
        command += ["-map", f"[{pad}]", "-frames:v", "1", "-q:v", _JPEG_QUALITY]
        command += ["-update", "1", "-f", "image2", str(into / name)]
    return command


def _scale(size: Rung, max_width: int) -> str:
    width = min(max_width, size.width)
    height = max(2, 2 * round(width * size.height / size.width / 2))
    # JPEG is full-range bt601 by definition (JFIF); without saying so, colours come out shifted.
    return f"scale={width}:{height}:out_range=pc:out_color_matrix=bt601,format=yuvj420p"


def first_bright_folder(folders: Sequence[Path] | Iterator[Path], tools: Tools) -> Path | None:
    """The first folder whose poster is not black, else the one with the brightest, else None.

    Args:
        folders: Folders with pictures, made on demand, best first.
        tools: Where ffmpeg is.
    """
    brightest: tuple[float, Path] | None = None
    for folder in folders:
        luma = luma_of(folder / POSTER, tools)
        if not is_black(luma):
            return folder
        if brightest is None or luma.mean > brightest[0]:
            brightest = (luma.mean, folder)
    return brightest[1] if brightest else None
