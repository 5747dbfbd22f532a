import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.media.boxes import walk
from pipeline.media.containers import container_of
from pipeline.media.probe_report import played_streams, source_info
from pipeline.media.source_limits import MediaRefused
from tests.fuzz.mutations import ANY_JSON, mutated, with_replaced_members

REPORT: dict[str, Any] = {
    "format": {"duration": "10.5", "start_time": "0.0", "bit_rate": "800000"},
    "streams": [
        {
            "index": 0,
            "codec_type": "video",
            "codec_name": "h264",
            "profile": "High",
            "width": 1920,
            "height": 1080,
            "sample_aspect_ratio": "1:1",
            "pix_fmt": "yuv420p",
            "bits_per_raw_sample": "8",
            "field_order": "progressive",
            "color_transfer": "bt709",
            "avg_frame_rate": "30000/1001",
            "r_frame_rate": "30000/1001",
            "start_time": "0.0",
            "duration": "10.5",
            "disposition": {"attached_pic": 0},
            "side_data_list": [{"rotation": -90}],
        },
        {
            "index": 1,
            "codec_type": "audio",
            "codec_name": "aac",
            "channels": 2,
            "start_time": "0.02",
            "disposition": {"attached_pic": 0},
        },
    ],
    "packets": [{"stream_index": 0, "pts_time": str(number / 30)} for number in range(6)],
}
MP4 = (
    b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"
    b"\0\0\0\x10free\0\0\0\0\0\0\0\0"
    b"\0\0\0\1mdat\0\0\0\0\0\0\0\x18\0\0\0\0\0\0\0\0"
    b"\0\0\0\x08moov"
)


@given(with_replaced_members(REPORT) | st.dictionaries(st.sampled_from(sorted(REPORT)), ANY_JSON))
def test_a_report_becomes_sane_figures_or_a_refusal(report: dict[str, Any]) -> None:
    played_streams(report)
    try:
        info = source_info(report, container="mp4", size_bytes=1)
    except MediaRefused:
        return
    assert info.width > 0
    assert info.height > 0
    assert info.duration_sec >= 0
    assert math.isfinite(info.duration_sec)
    numerator, _, denominator = info.frame_rate.partition("/")
    assert int(numerator) > 0
    assert int(denominator) > 0
    assert info.rotation in (0, 90, 180, 270)
    info.to_json()


@given(mutated(MP4) | st.binary(max_size=200))
def test_boxes_are_walked_to_an_end_inside_the_file(data: bytes) -> None:
    try:
        boxes = walk(lambda offset, length: data[offset : offset + length], len(data))
    except MediaRefused:
        return
    ends = [box.end for box in boxes]
    assert ends == sorted(set(ends))
    assert all(end <= len(data) for end in ends)


@given(mutated(MP4) | st.binary(max_size=400))
def test_a_head_is_of_a_known_container_or_refused(head: bytes) -> None:
    try:
        container = container_of(head)
    except MediaRefused:
        return
    assert container.demuxer
