"""Arguments that the ffmpeg commands of an encode share."""

from pathlib import Path

PLAYLIST = "index.m3u8"

# JPEG is full-range bt601 by definition (JFIF); without these options the colours are wrong.
_JPEG_COLOURS = "out_range=pc:out_color_matrix=bt601"


def ffmpeg_prefix(ffmpeg: str) -> list[str]:
    """Begin a command that asks nothing, overwrites its outputs and reports its progress."""
    quiet = ["-hide_banner", "-nostdin", "-y", "-loglevel", "warning", "-nostats"]
    return [ffmpeg, *quiet, "-progress", "pipe:1"]


def local_input(path: Path, *, container: str) -> list[str]:
    """Open one local file as the container that the probe found.

    Without the pinned format, ffmpeg could read the file as a playlist that names other files.
    Without the protocol list, the file could name other hosts.
    """
    demuxer = container.split(",", maxsplit=1)[0]
    only = ["-protocol_whitelist", "file", "-format_whitelist", demuxer, "-f", demuxer]
    return [*only, "-i", f"file:{path}"]


def rendition_input(folder: Path) -> list[str]:
    """Open a finished rendition by its playlist."""
    only = ["-protocol_whitelist", "file", "-format_whitelist", "hls,mov", "-f", "hls"]
    return [*only, "-i", str(folder / PLAYLIST)]


def jpeg_scale(width: int, height: int) -> list[str]:
    """Scale to the size and colours of a JPEG: two filters, to be joined by commas."""
    return [f"scale={width}:{height}:{_JPEG_COLOURS}", "format=yuvj420p"]


def jpeg_output(path: Path, *, quality: int) -> list[str]:
    """Write one frame as a JPEG file; quality is on ffmpeg's scale from 2, the best, to 31."""
    return ["-frames:v", "1", "-q:v", str(quality), "-update", "1", "-f", "image2", str(path)]
