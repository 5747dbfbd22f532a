"""Recordings that were joined into one file, whose clock begins again with each of them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.media.tools import Tools
from tests.formats.measures import LOUD, RATE_HZ, beep_sec, flash_sec, joined, pictures, sound
from tests.integration.transcoder.made_encodes import Made, Make, ffmpeg

FLV_HEADER_BYTES = 13
FLASH = "drawbox=color=white:thickness=fill:enable='between(t,1,1.2)'"
PICTURE = ("-f", "lavfi", "-i", f"testsrc2=s=320x180:r=25:d=2,{FLASH}")
BEEP = ("-f", "lavfi", "-i", "aevalsrc='sin(2*PI*440*t)/2*between(t,1,1.2)':s=48000:d=2")
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")


@dataclass(frozen=True)
class Joined:
    """Recordings in one file; the later ones lack some bytes of their beginning."""

    suffix: str
    options: tuple[str, ...]
    omitted_bytes: int = 0
    parts: int = 2


def codes(made: Made) -> list[str]:
    return [loss.code.value for loss in made.encoded.losses]


def outputs(made: Made, folder: Path) -> list[Path]:
    renditions = [joined(each, folder / f"{each.parent.name}.mp4") for each in made.playlists]
    return [*renditions, made.fallback]


@pytest.mark.parametrize(
    "case",
    [
        Joined("flv", H264),
        Joined("flv", H264, omitted_bytes=FLV_HEADER_BYTES),
        Joined("flv", (*H264, "-flvflags", "no_metadata"), parts=3),
        Joined("mkv", H264),
        Joined("webm", VP8),
    ],
    ids=["flv", "flv without a second header", "three flv without metadata", "mkv", "webm"],
)
def test_every_recording_is_seen_and_heard_in_its_turn(
    made: Make, clip_folder: Path, tools: Tools, tmp_path: Path, case: Joined
) -> None:
    parts = case.parts
    name = f"{case.omitted_bytes}-{parts}.{case.suffix}"
    part = ffmpeg(tools, clip_folder / f"part-{name}", *PICTURE, *BEEP, *case.options).read_bytes()
    source = clip_folder / f"parts-{name}"
    source.write_bytes(part + (parts - 1) * part[case.omitted_bytes :])

    result = made(source)

    assert "timing_mended" in codes(result)
    assert "frames_lost" not in codes(result)
    assert result.encoded.source.duration_sec == pytest.approx(2 * parts, abs=0.2)
    for path in outputs(result, tmp_path):
        seen, heard = pictures(path, tools, rate=25), sound(path, tools)
        assert len(seen) == pytest.approx(50 * parts, abs=5)
        first = flash_sec(path, tools)
        assert beep_sec(heard) == pytest.approx(first, abs=0.05)
        for number in range(parts):
            bright = [at / 25 for at, each in enumerate(seen) if sum(each) / len(each) > 190]
            own = [at for at in bright if 2 * number < at < 2 * number + 2]
            assert own[0] == pytest.approx(first + 2 * number, abs=0.2)
            begin = round((own[0] - 0.1) * RATE_HZ)
            loud = [max(map(abs, sides)) > LOUD for sides in heard[begin : begin + RATE_HZ]]
            assert loud.index(True) / RATE_HZ == pytest.approx(0.1, abs=0.06)


def test_frames_of_a_recording_that_lacks_the_sound_are_said_to_be_lost(
    made: Make, clip_folder: Path, tools: Tools
) -> None:
    whole = ffmpeg(tools, clip_folder / "whole.flv", *PICTURE, *BEEP, *H264)
    silent = ffmpeg(tools, clip_folder / "silent.flv", *PICTURE, *H264)
    source = clip_folder / "unlike.flv"
    source.write_bytes(whole.read_bytes() + silent.read_bytes())
    assert "frames_lost" in codes(made(source))


def test_a_whole_flv_is_left_as_it_is(made: Make, clip_folder: Path, tools: Tools) -> None:
    source = ffmpeg(tools, clip_folder / "single.flv", *PICTURE, *BEEP, *H264)
    before = source.read_bytes()
    assert "timing_mended" not in codes(made(source))
    assert source.read_bytes() == before
