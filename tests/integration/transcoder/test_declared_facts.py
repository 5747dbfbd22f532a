"""Sources whose containers declare something else than their packets have."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.media.tools import Tools
from tests.integration.transcoder.made_encodes import Made, Make, ffmpeg

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")


def codes(result: Made) -> set[str]:
    return {loss.code.value for loss in result.encoded.losses}


def bursts(tools: Tools, into: Path, rate: int, *codec: str) -> Path:
    """Record half a second of motion at full rate, and then a frame now and then."""
    moving = f"testsrc2=s=320x180:r={rate}:d=4"
    kept = f"select='lt(t,0.25)+between(t,2,2.25)+not(mod(n,{2 * rate}))'"
    timed = ("-fps_mode", "passthrough", "-enc_time_base", f"1:{rate}")
    return ffmpeg(tools, into, "-f", "lavfi", "-i", moving, "-vf", kept, *timed, *codec)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", H264), ("mkv", H264), ("webm", VP9)], ids=["mp4", "mkv", "webm"]
)
def test_a_screen_recording_keeps_the_motion_of_its_bursts(
    made: Make, clip_folder: Path, tools: Tools, suffix: str, codec: tuple[str, ...]
) -> None:
    source = bursts(tools, clip_folder / f"bursts.{suffix}", 60, *codec)
    result = made(source)
    assert result.encoded.source.variable_frame_rate
    assert result.encoded.renditions[0].frame_rate == 60
    shown = result.grey_frames(result.fallback)
    begun = sum(one != other for one, other in pairwise(shown[:16]))
    assert begun >= 14
    assert "frame_rate_lowered" not in codes(result)


def test_bursts_above_sixty_frames_a_second_are_capped_and_said(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    result = made(bursts(tools, clip_folder / "fast-bursts.mp4", 120, *H264))
    assert result.encoded.renditions[0].frame_rate == 60
    assert "frame_rate_lowered" in codes(result)


def test_a_rate_that_the_container_invents_is_measured(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    source = ffmpeg(
        tools,
        clip_folder / "invented-rate.mkv",
        *(
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=320x180:r=50:d=3",
            *H264,
            "-default_mode",
            "passthrough",
        ),
        *("-bsf:v", "setts=pts=PTS:dts=DTS:duration=0"),
    )
    assert made(source).encoded.renditions[0].frame_rate == Fraction(50)


def stream(tools: Tools, into: Path, begins_sec: float, sound_begins_sec: float) -> Path:
    """Record a transport stream of a second, whose clocks begin at any instant."""
    picture = ("-itsoffset", str(begins_sec), "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1")
    sound = ("-itsoffset", str(sound_begins_sec), "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")
    return ffmpeg(tools, into, *picture, *sound, *H264, "-max_interleave_delta", "0")


@pytest.mark.parametrize(
    "begins",
    [
        ((0, 0), (4900, 4900)),
        ((5000, 5000), (100, 100)),
        ((0, 0), (4900, 4900), (0, 0)),
        ((0, 0), (1, 4901)),
    ],
    ids=["forward", "backward", "there and back", "sound alone"],
)
def test_a_transport_stream_whose_clock_jumps_lasts_as_long_as_its_frames(
    made: Make,
    clip_folder: Path,
    tools: Tools,
    tmp_path: Path,
    begins: tuple[tuple[float, float], ...],
) -> None:
    source = clip_folder / f"jumps-{hash(begins)}.ts"
    parts = [
        stream(tools, tmp_path / f"{n}.ts", picture, sound)
        for n, (picture, sound) in enumerate(begins)
    ]
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    result = made(source)
    seconds = len(begins)
    assert result.encoded.source.duration_sec == pytest.approx(seconds, abs=0.3)
    for path in (result.playlists[0], result.fallback):
        for kind in ("v", "a"):
            assert result.length_sec(path, kind) == pytest.approx(seconds, abs=0.3)
        assert len(set(result.pictures(path)[:25])) >= 23
    assert result.encoded.renditions[0].frame_rate == 25
    assert "timing_mended" in codes(result)


SUBTITLES = "1\n00:00:00,000 --> 00:00:01,000\none\n\n2\n00:00:50,000 --> 00:01:00,000\ntwo\n"


def with_subtitles(tools: Tools, into: Path) -> Path:
    text = into.with_suffix(".srt")
    text.write_text(SUBTITLES)
    codec = {".mp4": "mov_text", ".webm": "webvtt"}.get(into.suffix, "srt")
    sound = "libopus" if into.suffix == ".webm" else "aac"
    inputs = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1", "-f", "lavfi", "-i", "sine=d=1")
    video = VP9 if into.suffix == ".webm" else H264
    maps = ("-map", "0", "-map", "1", "-map", "2", *video, "-c:a", sound, "-c:s", codec)
    return ffmpeg(tools, into, *inputs, "-i", str(text), *maps)


def with_second_sound(tools: Tools, into: Path) -> Path:
    sounds = ("-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i", "sine=d=30", "-c:a", "aac")
    maps = ("-map", "0", "-map", "1", "-map", "2")
    picture = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1")
    return ffmpeg(tools, into, *picture, *sounds, *maps, *H264)


@pytest.mark.parametrize(
    ("make", "suffix"),
    [
        (with_subtitles, "mkv"),
        (with_subtitles, "mp4"),
        (with_subtitles, "webm"),
        (with_second_sound, "mp4"),
        (with_second_sound, "mkv"),
    ],
)
def test_a_track_that_is_not_played_does_not_lengthen_the_video(
    made: Make,
    clip_folder: Path,
    tools: Tools,
    make: Callable[[Tools, Path], Path],
    suffix: str,
) -> None:
    result = made(make(tools, clip_folder / f"{make is with_subtitles}.{suffix}"))
    for path in (result.playlists[0], result.fallback):
        assert result.length_sec(path, "v") == pytest.approx(1.0, abs=0.1)
    assert result.encoded.source.duration_sec == pytest.approx(1.0, abs=0.1)
    # The probe reads it from the declarations of the tracks, as other providers' jobs need it.
    assert result.info.duration_sec == pytest.approx(1.0, abs=0.1)
    assert "length_differs" not in codes(result)


def test_a_whole_file_that_declares_a_longer_duration_is_not_damaged(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    # The duration is the number of milliseconds behind the element's id and size.
    whole = ffmpeg(
        tools,
        clip_folder / "of-a-second.mkv",
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1", *H264),
    )
    data = bytearray(whole.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = bytes.fromhex("40f5f90000000000")  # 90,000 ms
    false = clip_folder / "of-a-false-second.mkv"
    false.write_bytes(data)
    result = made(false)
    assert result.info.duration_sec == pytest.approx(90, abs=0.1)
    assert result.encoded.duration_sec == pytest.approx(1.0, abs=0.05)
    assert "length_differs" in codes(result)
