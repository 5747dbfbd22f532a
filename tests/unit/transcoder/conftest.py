from collections.abc import Callable
from typing import Any

import pytest

from pipeline.media.source_info import SourceInfo

PLAIN = SourceInfo(
    container="mp4",
    size_bytes=1_000_000,
    duration_sec=10.0,
    stream_count=2,
    width=1280,
    height=720,
    coded_width=1280,
    coded_height=720,
    rotation=0,
    sample_aspect_ratio="1:1",
    frame_rate="25/1",
    variable_frame_rate=False,
    interlaced=False,
    video_codec="h264",
    video_profile="High",
    pixel_format="yuv420p",
    bit_depth=8,
    color_transfer="bt709",
    color_primaries="bt709",
    color_space="bt709",
    audio_codec="aac",
    audio_channels=2,
    audio_start_sec=0.0,
    video_start_sec=0.0,
    bit_rate_bps=800_000,
)


@pytest.fixture
def info() -> Callable[..., SourceInfo]:
    """Make the SourceInfo of a plain 720p source, with changes."""

    def make(**changes: Any) -> SourceInfo:
        return SourceInfo.from_json(PLAIN.to_json() | changes)

    return make
