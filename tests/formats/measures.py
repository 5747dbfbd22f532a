"""Measures of a file by ffmpeg's own decoders, without a part of the product."""

import math
import subprocess
from pathlib import Path

from pipeline.media.tools import Tools

RATE_HZ = 48_000
INSTANTS_HZ = 100
BYTES = 3 * 16 * 12
BRIGHT = 190
LOUD = 0.02


def pictures(path: Path, tools: Tools, *, rate: int) -> list[bytes]:
    """Return so many pictures a second, from the start, in red, green and blue of 16x12.

    Not their luma: a source in the colours of standard definition has another one.
    """
    filters = f"fps={rate}:start_time=0,format=rgb24,scale=16:12:flags=area"
    decoded = _decoded(path, tools, "-map", "0:v:0", "-vf", filters, "-f", "rawvideo")
    return [decoded[at : at + BYTES] for at in range(0, len(decoded), BYTES)]


def flash_sec(path: Path, tools: Tools) -> float:
    """Return the instant of the first bright picture."""
    seen = pictures(path, tools, rate=INSTANTS_HZ)
    return (
        next(at for at, picture in enumerate(seen) if sum(picture) / BYTES > BRIGHT) / INSTANTS_HZ
    )


def sound(path: Path, tools: Tools) -> list[tuple[float, float]]:
    """Return the samples of both sides, with silence up to the beginning of late sound."""
    filters = "aresample=async=1:first_pts=0,aformat=channel_layouts=stereo"
    wanted = ("-map", "0:a:0", "-af", filters, "-ar", str(RATE_HZ), "-f", "f32le")
    decoded = memoryview(_decoded(path, tools, *wanted)).cast("f")
    return [(decoded[at], decoded[at + 1]) for at in range(0, len(decoded) - 1, 2)]


def beep_sec(heard: list[tuple[float, float]]) -> float:
    """Return the instant of the first loud sample."""
    return next(at for at, sides in enumerate(heard) if max(map(abs, sides)) > LOUD) / RATE_HZ


def levels_db(heard: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the level of each side over the whole length."""
    return (_level_db([left for left, _ in heard]), _level_db([right for _, right in heard]))


def _level_db(samples: list[float]) -> float:
    power = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(power + 1e-12)


def difference(one: bytes, other: bytes) -> float:
    """Return the mean difference of two pictures' values."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def joined(playlist: Path, into: Path) -> Path:
    """Write the segments of a playlist one after the other, as a player gives them to a decoder.

    ffmpeg's reader of playlists decodes the samples before the first one, which players skip.
    """
    lines = playlist.read_text().splitlines()
    begin = [line.split('URI="')[1].split('"')[0] for line in lines if "EXT-X-MAP" in line]
    parts = [*begin, *(line for line in lines if line and not line.startswith("#"))]
    into.write_bytes(b"".join((playlist.parent / part).read_bytes() for part in parts))
    return into


def _decoded(path: Path, tools: Tools, *wanted: str) -> bytes:
    command = [tools.ffmpeg, "-v", "error", "-i", str(path), *wanted, "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout
