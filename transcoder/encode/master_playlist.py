"""The master playlist, written by us because ffmpeg's would hold guesses."""

from collections.abc import Iterator, Sequence

from transcoder.encode.encode_command import PLAYLIST
from transcoder.encode.measured_rendition import MeasuredRendition

MASTER = "master.m3u8"

_FIRST_VARIANT_BPS = 2_000_000
"""Players start with the first variant listed: Apple's HLS authoring rule 1.32 puts it near
2 Mbit/s, which most links carry and no eye resents for six seconds."""


def master_playlist(renditions: Sequence[MeasuredRendition]) -> str:
    """Write the master playlist of renditions that lie in folders named after their profiles."""
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
