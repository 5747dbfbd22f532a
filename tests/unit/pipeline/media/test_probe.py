import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.media.probe import SourceInfo, probe
from pipeline.media.source_limits import MediaRefused
from pipeline.media.tools import Tools
from tests import clips
from tests.clips import Kind

REAL_CLIP = Path(__file__).parents[3] / "media" / "big-buck-bunny-720p-5s.mp4"

# What must be measured of each kind; every field that is not named is as in PLAIN.
PLAIN = {
    "container": "mp4",
    "duration_sec": pytest.approx(1.0),
    "stream_count": 2,
    "width": 320,
    "height": 180,
    "coded_width": 320,
    "coded_height": 180,
    "rotation": 0,
    "sample_aspect_ratio": "1:1",
    "frame_rate": "25/1",
    "variable_frame_rate": False,
    "interlaced": False,
    "video_codec": "h264",
    "pixel_format": "yuv420p",
    "bit_depth": 8,
    "color_transfer": None,
    "color_primaries": None,
    "color_space": None,
    "audio_codec": "aac",
    "audio_channels": 1,
    "audio_start_sec": pytest.approx(0, abs=0.001),
    "video_start_sec": pytest.approx(0, abs=0.001),
}
SIXTEEN_BY_NINE = {"width": 640, "height": 360, "coded_width": 640, "coded_height": 360}
MAIN_10 = {
    "video_codec": "hevc",
    "video_profile": "Main 10",
    "pixel_format": "yuv420p10le",
    "bit_depth": 10,
    "color_transfer": "bt709",
    "color_primaries": "bt709",
    "color_space": "bt709",
}
BT_2020 = {**MAIN_10, "color_primaries": "bt2020", "color_space": "bt2020nc"}
TWO_SECONDS = {"duration_sec": pytest.approx(2.0)}
ABOUT_TWO_SECONDS = {"duration_sec": pytest.approx(2.0, abs=0.025)}  # counts the AAC priming
DIFFERENCES: dict[Kind, dict[str, Any]] = {
    clips.widescreen: {**SIXTEEN_BY_NINE, **TWO_SECONDS},
    clips.portrait: {"width": 360, "height": 640, "coded_width": 360, "coded_height": 640},
    clips.rotated: {
        **SIXTEEN_BY_NINE,
        **TWO_SECONDS,
        "width": 360,
        "height": 640,
        "rotation": 90,
    },
    clips.film_rate: {"frame_rate": "24000/1001", "duration_sec": pytest.approx(2.002)},
    clips.variable_rate: {
        **TWO_SECONDS,
        "variable_frame_rate": True,
        "frame_rate": "600/29",
    },
    clips.hevc_10_bit: MAIN_10,
    clips.hdr_pq: {**BT_2020, "color_transfer": "smpte2084"},
    clips.hdr_hlg: {**BT_2020, "color_transfer": "arib-std-b67"},
    clips.vp9_webm: {
        "container": "webm",
        "video_codec": "vp9",
        "audio_codec": "opus",
        "duration_sec": pytest.approx(1.0, abs=0.01),
    },
    clips.streamed_webm: {
        "container": "webm",
        "duration_sec": 1.001,
        "video_codec": "vp9",
        "audio_codec": "opus",
    },
    clips.prores_mov: {
        "container": "mov",
        "video_codec": "prores",
        "audio_codec": "pcm_s16le",
        "pixel_format": "yuv422p10le",
        "bit_depth": 10,
    },
    clips.odd_size: {
        "width": 321,
        "height": 181,
        "coded_width": 321,
        "coded_height": 181,
        "pixel_format": "yuv444p",
    },
    clips.silent: {"stream_count": 1, "audio_codec": None, "audio_channels": None},
    clips.very_short: {"duration_sec": pytest.approx(0.4)},
    clips.anamorphic: {
        "width": 768,
        "height": 576,
        "coded_width": 720,
        "coded_height": 576,
        "sample_aspect_ratio": "16:15",
    },
    clips.interlaced: {
        "interlaced": True,
        "width": 320,
        "height": 240,
        "coded_width": 320,
        "coded_height": 240,
    },
    clips.late_audio: {**TWO_SECONDS, "audio_start_sec": pytest.approx(1.0, abs=0.025)},
    clips.transport_stream: {
        **SIXTEEN_BY_NINE,
        **ABOUT_TWO_SECONDS,
        "container": "mpegts",
        "video_start_sec": pytest.approx(0.021, abs=0.001),
    },
    clips.fragmented: {**SIXTEEN_BY_NINE, **ABOUT_TWO_SECONDS},
    clips.faststart: {**SIXTEEN_BY_NINE, **TWO_SECONDS},
}


@pytest.mark.parametrize("kind", clips.ACCEPTED, ids=lambda kind: kind.__name__)
def test_every_kind_of_source_is_measured_right(
    kind: Kind,
    make: Callable[[Kind], Path],
    tools: Tools,
) -> None:
    clip = make(kind)

    measured = probe(clip, tools).to_json()

    expected = {**PLAIN, **DIFFERENCES[kind], "size_bytes": clip.stat().st_size}
    assert {name: measured[name] for name in expected} == expected
    assert measured["bit_rate_bps"] > 0


def test_a_real_clip_is_measured_right(tools: Tools) -> None:
    info = probe(REAL_CLIP, tools)

    assert (info.width, info.height, info.frame_rate) == (1280, 720, "25/1")
    assert (info.video_codec, info.audio_codec, info.audio_channels) == ("h264", "aac", 6)
    assert info.duration_sec == pytest.approx(5.28, abs=0.05)


@pytest.mark.parametrize("kind", clips.REFUSED, ids=lambda kind: kind.__name__)
def test_what_is_no_playable_video_is_refused_with_its_code(
    kind: Kind,
    make: Callable[[Kind], Path],
    tools: Tools,
) -> None:
    with pytest.raises(MediaRefused) as refusal:
        probe(make(kind), tools)

    assert refusal.value.code == clips.REFUSED[kind]


@pytest.mark.parametrize("name", ["concat:a|b.mp4", "-version", "http:x.mp4", "50%.mp4", "ä b.mp4"])
def test_the_name_of_a_file_means_nothing_to_ffprobe(
    name: str,
    make: Callable[[Kind], Path],
    tools: Tools,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(make(clips.silent).read_bytes())

    assert probe(Path(name), tools).width == 320


def test_what_was_measured_survives_json(make: Callable[[Kind], Path], tools: Tools) -> None:
    info = probe(make(clips.hdr_pq), tools)

    assert SourceInfo.from_json({**info.to_json(), "of_a_later_version": 1}) == info
    assert info.indexed_frames == 25
    assert set(info.to_json()) == {field.name for field in dataclasses.fields(SourceInfo)}


def test_what_was_measured_before_frames_were_counted_is_still_read(
    make: Callable[[Kind], Path], tools: Tools
) -> None:
    info = probe(make(clips.silent), tools)
    before = {name: value for name, value in info.to_json().items() if name != "indexed_frames"}

    assert SourceInfo.from_json(before) == dataclasses.replace(info, indexed_frames=0)


def test_ffprobe_may_not_take_for_ever(
    make: Callable[[Kind], Path],
    program: Callable[[str], str],
) -> None:
    hangs = Tools(ffmpeg="", ffprobe=program("while :; do :; done"))

    with pytest.raises(MediaRefused) as refusal:
        probe(make(clips.silent), hangs, timeout_sec=0.2)

    assert refusal.value.code == "source_unmeasurable"


def test_a_program_that_cannot_be_started_is_not_the_files_fault(
    make: Callable[[Kind], Path], program: Callable[[str], str]
) -> None:
    for ffprobe in ("/nowhere/ffprobe", program("exec /nowhere/ffprobe")):
        with pytest.raises(OSError, match="ffprobe cannot be started"):
            probe(make(clips.silent), Tools(ffmpeg="", ffprobe=ffprobe))


def test_ffprobe_may_not_print_for_ever(
    make: Callable[[Kind], Path],
    program: Callable[[str], str],
) -> None:
    babbles = Tools(ffmpeg="", ffprobe=program("while :; do echo babble; done"))

    with pytest.raises(MediaRefused) as refusal:
        probe(make(clips.silent), babbles)

    assert refusal.value.code == "source_unmeasurable"


def test_the_length_of_a_stream_counts_the_sound_too(
    make: Callable[[Kind], Path], tools: Tools
) -> None:
    assert probe(make(clips.long_sound_webm), tools).duration_sec == pytest.approx(3.0, abs=0.01)
