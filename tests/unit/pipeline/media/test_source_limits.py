from dataclasses import replace
from typing import Any

import pytest

from pipeline.media.probe_report import source_info
from pipeline.media.source_info import SourceInfo
from pipeline.media.source_limits import Limits, MediaRefused, check_limits

LIMITS = Limits(
    max_bytes=1000,
    max_duration_sec=60,
    max_pixels=1920 * 1080,
    max_streams=4,
    max_frames=60 * 25,
)


def info_at_the_limits() -> SourceInfo:
    video = {"codec_type": "video", "codec_name": "h264", "width": 1920, "height": 1080}
    video |= {"avg_frame_rate": "25/1", "nb_frames": "1500"}
    report = {"format": {"duration": "60"}, "streams": [video] * 4}
    return source_info(report, container="mp4", size_bytes=1000)


def test_a_source_right_at_every_limit_passes() -> None:
    check_limits(info_at_the_limits(), LIMITS)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"size_bytes": 1001}, "source_too_large"),
        ({"duration_sec": 60.1}, "source_too_long"),
        ({"coded_height": 1081}, "source_too_large"),
        ({"stream_count": 5}, "source_unusual"),
        ({"frame_rate": "1001/1"}, "source_unusual"),
        ({"frame_rate": "26/1"}, "source_too_long"),
        ({"frame_rate": "26/1", "indexed_frames": 0}, "source_too_long"),
        ({"indexed_frames": 1501}, "source_too_long"),
    ],
)
def test_a_source_over_a_limit_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(MediaRefused) as refusal:
        check_limits(replace(info_at_the_limits(), **change), LIMITS)

    assert refusal.value.code == code
    assert refusal.value.detail


def test_four_hours_at_the_fastest_rate_are_more_frames_than_are_accepted() -> None:
    hours = replace(info_at_the_limits(), duration_sec=4 * 3600, indexed_frames=0)
    limits = Limits(max_bytes=1000, max_duration_sec=4 * 3600)

    check_limits(replace(hours, frame_rate="120/1"), limits)
    with pytest.raises(MediaRefused, match="14400000 frames"):
        check_limits(replace(hours, frame_rate="1000/1"), limits)


def test_what_counts_for_pixels_is_what_a_decoder_allocates() -> None:
    squeezed = replace(info_at_the_limits(), width=1, height=1, coded_width=3840)

    with pytest.raises(MediaRefused):
        check_limits(squeezed, LIMITS)
