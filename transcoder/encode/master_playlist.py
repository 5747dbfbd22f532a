"""Master playlist, written from measurements because ffmpeg's holds estimates.

A playlist of ffmpeg is mended where it breaks the rules.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from transcoder.encode.ffmpeg_arguments import PLAYLIST
from transcoder.encode.measured_rendition import MeasuredRendition

MASTER = "master.m3u8"

_FIRST_VARIANT_BPS = 2_000_000
"""Players start with the first variant listed. Apple's HLS authoring rule 1.32 asks for one near
2 Mbit/s there, which most links carry and which looks acceptable for a segment of six seconds."""


def master_playlist(renditions: Sequence[MeasuredRendition]) -> str:
    """Write the master playlist of renditions whose folders are named after their profiles."""
    return "\n".join([*_lines(renditions), ""])


def _lines(renditions: Sequence[MeasuredRendition]) -> Iterator[str]:
    yield "#EXTM3U"
    yield "#EXT-X-VERSION:7"
    yield "#EXT-X-INDEPENDENT-SEGMENTS"
    first = min(renditions, key=lambda r: abs(r.average_bandwidth_bps - _FIRST_VARIANT_BPS))
    for rendition in [first, *(other for other in renditions if other is not first)]:
        yield f"#EXT-X-STREAM-INF:{_attributes(rendition)}"
        yield f"{rendition.profile}/{PLAYLIST}"


def _attributes(rendition: MeasuredRendition) -> str:
    return ",".join(
        (
            f"BANDWIDTH={rendition.bandwidth_bps}",
            f"AVERAGE-BANDWIDTH={rendition.average_bandwidth_bps}",
            f'CODECS="{rendition.codecs}"',
            f"RESOLUTION={rendition.width}x{rendition.height}",
            f"FRAME-RATE={float(rendition.frame_rate):.3f}",
        )
    )


def mend_target_duration(playlist: Path) -> None:
    """Give a video of under half a second a target duration of 1; ffmpeg writes a forbidden 0."""
    text = playlist.read_text()
    playlist.write_text(text.replace("#EXT-X-TARGETDURATION:0\n", "#EXT-X-TARGETDURATION:1\n"))
