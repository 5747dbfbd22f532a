"""Measurement of a picture: its size, its brightness, and a test for a black one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from pathlib import Path

from pipeline.media.child_process import ChildTimedOut, ChildTooLoud, run_child
from pipeline.media.confinement import PICTURE, Reach
from pipeline.media.source_limits import MediaRefused, Refusal
from pipeline.media.tools import Tools

_SIDE = 16  # 256 averages remove noise but keep a lit window in a night scene
_SIDES_OF_ONE = re.compile(rb"(\d+),(\d+),1\s*")
_TIMEOUT_SEC = 20
_MAX_OUTPUT_BYTES = 64 * 1024
_MAX_PIXELS = 8192 * 4320  # a poster is at most as large as the largest source
# ffmpeg's blackdetect calls a pixel black under 10 % of the range (25 of 255). This is a little
# less, so that a dark drawn scene passes.
_BLACK_MEAN = 20
# A scene at night is dark on average but has a lamp or a face; a black frame with compression
# noise deviates by a few steps only.
_BLACK_DEVIATION = 10


@dataclass(frozen=True)
class Luma:
    """The brightness of a picture, 0 (black) to 255 (white)."""

    mean: float
    deviation: float  # standard deviation over the picture


def luma_of(path: Path, tools: Tools) -> Luma:
    """Measure the brightness of a JPEG or PNG.

    Raises:
        MediaRefused: `source_corrupt` if it is no such picture or cannot be decoded.
    """
    demuxer = _demuxer_of(path)
    argv = (
        *(tools.ffmpeg, "-v", "error", "-nostdin", "-protocol_whitelist", "file"),
        *("-format_whitelist", demuxer, "-max_pixels", str(_MAX_PIXELS)),
        *("-f", demuxer, "-i", f"file:{path.absolute()}", "-frames:v", "1"),
        *("-vf", f"scale={_SIDE}:{_SIDE}:flags=area:out_range=full,format=gray"),
        *("-f", "rawvideo", "pipe:1"),
    )
    pixels = _run(argv, path)
    if len(pixels) != _SIDE * _SIDE:
        raise _undecodable()
    return _statistics(pixels)


def size_of(path: Path, tools: Tools) -> tuple[int, int]:
    """Measure the width and height of a JPEG or PNG, in pixels, by decoding it.

    Raises:
        MediaRefused: `source_corrupt` if it is no such picture or cannot be decoded.
    """
    demuxer = _demuxer_of(path)
    argv = (
        *(tools.ffprobe, "-v", "error", "-protocol_whitelist", "file"),
        *("-format_whitelist", demuxer, "-max_pixels", str(_MAX_PIXELS)),
        *("-count_frames", "-select_streams", "v:0"),
        *("-show_entries", "stream=width,height,nb_read_frames", "-of", "csv=p=0"),
        *("-f", demuxer, "-i", f"file:{path.absolute()}"),
    )
    sides = _SIDES_OF_ONE.fullmatch(_run(argv, path))
    if sides is None:
        raise _undecodable()
    return int(sides[1]), int(sides[2])


def is_black(luma: Luma) -> bool:
    """Return True for the brightness of a picture that is dark everywhere."""
    return luma.mean < _BLACK_MEAN and luma.deviation < _BLACK_DEVIATION


def _run(argv: Sequence[str], picture: Path) -> bytes:
    try:
        done = run_child(
            argv,
            PICTURE,
            Reach(reads=(picture,)),
            timeout_sec=_TIMEOUT_SEC,
            max_output_bytes=_MAX_OUTPUT_BYTES,
        )
    except (ChildTimedOut, ChildTooLoud) as error:
        raise _undecodable() from error
    if done.returncode != 0:
        raise _undecodable()
    return done.stdout


def _demuxer_of(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg_pipe"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png_pipe"
    raise _undecodable()


def _statistics(pixels: bytes) -> Luma:
    mean = fsum(pixels) / len(pixels)
    variance = fsum((pixel - mean) ** 2 for pixel in pixels) / len(pixels)
    return Luma(mean, sqrt(variance))


def _undecodable() -> MediaRefused:
    return MediaRefused(Refusal.SOURCE_CORRUPT, "The picture cannot be decoded.")
