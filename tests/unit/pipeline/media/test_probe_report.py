from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.media.probe_report import source_info
from pipeline.media.source_info import SourceInfo
from pipeline.media.source_limits import MediaRefused


def measured(video: dict[str, Any], stamps: list[float] | None = None) -> SourceInfo:
    stream = {"index": 0, "codec_type": "video", "codec_name": "h264", "width": 640, "height": 360}
    packets = [{"stream_index": 0, "pts_time": str(stamp)} for stamp in stamps or []]
    report = {"format": {}, "streams": [{**stream, **video}], "packets": packets}
    return source_info(report, container="mp4", size_bytes=1)


@pytest.mark.parametrize(
    ("angle", "clockwise"),
    [(0, 0), (-90, 90), (90, 270), (180, 180), (-180, 180), (-270, 270), (-89.6, 90)],
)
def test_rotation_is_what_stands_the_picture_upright(angle: float, clockwise: int) -> None:
    info = measured({"side_data_list": [{}, {"rotation": angle}]})

    assert info.rotation == clockwise
    assert (info.width < info.height) == (clockwise in (90, 270))


@pytest.mark.parametrize(
    ("aspect", "width"),
    [("4:3", 853), ("1:1", 640), ("0:1", 640), ("N/A", 640), ("1:0", 640), ("8:9", 569)],
)
def test_pixels_are_squared_by_the_width(aspect: str, width: int) -> None:
    assert measured({"sample_aspect_ratio": aspect}).width == width


@pytest.mark.parametrize(
    ("pixel_format", "depth"),
    [
        ("yuv420p", 8),
        ("yuvj420p", 8),
        ("nv12", 8),
        ("yuv420p10le", 10),
        ("p010le", 10),
        ("yuv422p12be", 12),
        ("gray10le", 10),
        ("gbrp12le", 12),
        ("rgb24", 8),
    ],
)
def test_bit_depth_is_read_from_the_pixel_format(pixel_format: str, depth: int) -> None:
    assert measured({"pix_fmt": pixel_format}).bit_depth == depth


def test_millisecond_timestamps_are_an_even_beat() -> None:
    stamps = [round(frame * 1001 / 24000, 3) for frame in range(100)]

    info = measured({"avg_frame_rate": "24000/1001", "r_frame_rate": "24000/1001"}, stamps)

    assert not info.variable_frame_rate
    assert info.frame_rate == "24000/1001"


def test_one_stray_frame_makes_the_rate_variable() -> None:
    stamps = [frame / 25 + (0.03 if frame > 50 else 0) for frame in range(100)]

    assert measured({"avg_frame_rate": "25/1"}, stamps).variable_frame_rate


def test_a_beat_that_breaks_after_the_opening_shows_in_the_average() -> None:
    stamps = [frame / 25 for frame in range(100)]

    assert measured({"avg_frame_rate": "20/1"}, stamps).variable_frame_rate


def test_frames_that_are_stored_out_of_order_are_an_even_beat() -> None:
    stamps = [(frame ^ 1) / 25 for frame in range(99)]

    assert not measured({"avg_frame_rate": "25/1"}, stamps).variable_frame_rate


@pytest.mark.parametrize("average", ["0/0", "N/A", "90000/1"])
def test_without_an_average_the_rate_comes_from_the_timestamps(average: str) -> None:
    info = measured(
        {"avg_frame_rate": average, "r_frame_rate": "90000/1"}, [n / 50 for n in range(9)]
    )

    assert info.frame_rate == "50/1"


def test_a_clock_of_milliseconds_is_not_taken_for_the_rate_of_a_browsers_recording() -> None:
    stamps = [(33 * frame + frame * frame * 7 % 11) / 1000 for frame in range(100)]

    info = measured({"avg_frame_rate": "0/0", "r_frame_rate": "1000/1"}, stamps)

    assert info.variable_frame_rate
    assert 25 < Fraction(info.frame_rate) < 35


@pytest.mark.parametrize("step", [5e-324, 1e9])
def test_frames_that_are_no_time_or_years_apart_have_no_rate(step: float) -> None:
    assert measured({}, [0.0, step, 2 * step]).frame_rate == "25/1"


def test_a_cover_before_the_video_is_passed_over() -> None:
    cover = {"codec_type": "video", "codec_name": "mjpeg", "disposition": {"attached_pic": 1}}
    video = {"codec_type": "video", "codec_name": "vp9", "width": 4, "height": 2}

    info = source_info({"streams": [cover, video]}, container="mp4", size_bytes=1)

    assert info.video_codec == "vp9"


@pytest.mark.parametrize(
    ("video", "code"),
    [
        ({"codec_name": "unknown"}, "undecodable"),
        ({"codec_name": None}, "undecodable"),
        ({"width": 0}, "source_corrupt"),
        ({"height": "N/A"}, "source_corrupt"),
        ({"codec_type": "data"}, "no_video_stream"),
    ],
)
def test_a_stream_that_cannot_be_shown_is_refused(video: dict[str, Any], code: str) -> None:
    with pytest.raises(MediaRefused) as refusal:
        measured(video)

    assert refusal.value.code == code


JUNK = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5))


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "sample_aspect_ratio",
                "avg_frame_rate",
                "r_frame_rate",
                "start_time",
                "pix_fmt",
                "bits_per_raw_sample",
                "field_order",
                "duration",
            ),
            JUNK,
        ),
    ),
)
def test_junk_in_a_report_never_breaks_the_translation(video: dict[str, Any]) -> None:
    assert measured(video, [0.0, 0.0, 0.04]).width >= 1
