"""Real storyboards, checked by the pixels of their tiles."""

import logging
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.media.frames import size_of
from pipeline.media.playlist import parse_media
from pipeline.media.probe import probe
from pipeline.media.storyboard import Cue, parse_cues
from pipeline.media.tools import Tools
from tests import clips
from tests.integration.transcoder.conftest import Client
from tests.scripted_ffmpeg import REAL, scripted_ffmpeg
from transcoder.encode.encode_source import Encoded, EncodeOptions, encode_source
from transcoder.encode.storyboard_sheet import MAX_TILES
from transcoder.services import TranscoderServices
from transcoder.transcode import transcode

SHEET_MAX_BYTES = 2 * 1024**2


@dataclass(frozen=True)
class Drawn:
    """Storyboard with its cues and the luma of every pixel of its sheet."""

    cues: tuple[Cue, ...]
    duration_sec: float
    width: int
    pixels: bytes
    size_bytes: int

    def luma(self, cue: Cue, across: float = 0.5, down: float = 0.5) -> int:
        """Return the luma of one pixel; its position is in shares of the tile."""
        x, y = cue.x + int(across * cue.width), cue.y + int(down * cue.height)
        return self.pixels[y * self.width + x]


def encoded(clip: Path, tools: Tools, folder: Path) -> Encoded:
    folder.mkdir()
    return encode_source(
        clip,
        probe(clip, tools),
        folder,
        EncodeOptions(preset="ultrafast"),
        tools,
        on_progress=lambda _step, _percent: None,
        cancelled=lambda: False,
    )


def drawn(clip: Path, tools: Tools, folder: Path) -> Drawn:
    made = encoded(clip, tools, folder)
    assert made.has_storyboard
    cues = parse_cues((made.pictures / "storyboard.vtt").read_text())
    assert {cue.uri for cue in cues} == {"storyboard.jpg"}
    sheet = made.pictures / "storyboard.jpg"
    width, height = size_of(sheet, tools)
    assert all(cue.lies_within(width, height) for cue in cues)
    lowest = made.outputs / made.renditions[-1].profile / "index.m3u8"
    duration_sec = parse_media(lowest.read_text()).duration_sec
    assert cues[-1].end_sec == pytest.approx(duration_sec, abs=0.001)
    return Drawn(cues, duration_sec, width, grey(sheet, tools), sheet.stat().st_size)


def grey(sheet: Path, tools: Tools) -> bytes:
    command = [tools.ffmpeg, "-v", "error", "-i", str(sheet), "-vf", "format=gray"]
    done = subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True)
    return done.stdout


def clip(tools: Tools, into: Path, source: str, *options: str) -> Path:
    command = [tools.ffmpeg, "-v", "error", "-y", "-f", "lavfi", "-i", source, *options]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "10", "-pix_fmt", "yuv420p"]
    subprocess.run([*command, str(into)], check=True)
    return into


@dataclass(frozen=True)
class Greys:
    """Clip that changes every quarter of a second to the next of eleven greys."""

    size: str
    rate: int
    duration_sec: int
    thinned: str = ""

    def make(self, tools: Tools, into: Path) -> Path:
        source = f"color=gray:s={self.size}:r={self.rate}:d={self.duration_sec}"
        source += f",format=yuv420p,geq=lum='16+20*mod(floor(4*T),11)':cb=128:cr=128{self.thinned}"
        return clip(tools, into, source, "-fps_mode", "vfr")

    def luma(self, at_sec: float) -> float:
        """Return the luma of the grey at an instant, in the full range of a JPEG."""
        return 20 * (int(4 * at_sec) % 11) * 255 / 219


EVERY_FRAME = Greys("320x180", 25, 5)
UNEVEN = Greys("320x180", 30, 5, thinned=",select='lt(t,2)+not(mod(n,3))'")
KEY_FRAMES = Greys("64x36", 5, 103)


@pytest.mark.parametrize(
    ("greys", "interval_sec", "later_sec"),
    [(EVERY_FRAME, 1, 0.49), (UNEVEN, 1, 0.49), (KEY_FRAMES, 2, 0)],
    ids=["just before the middle", "of an uneven source too", "the key frame at the beginning"],
)
def test_each_tile_is_a_frame_of_the_seconds_it_stands_for(
    greys: Greys, interval_sec: int, later_sec: float, tools: Tools, tmp_path: Path
) -> None:
    board = drawn(greys.make(tools, tmp_path / "greys.mp4"), tools, tmp_path / "work")

    assert [cue.start_sec for cue in board.cues] == [
        number * interval_sec for number in range(round(greys.duration_sec / interval_sec))
    ]
    found = [board.luma(cue) for cue in board.cues]
    expected = [greys.luma(cue.start_sec + later_sec) for cue in board.cues]
    assert found == pytest.approx(expected, abs=9)


def test_a_rotated_source_has_upright_tiles(tools: Tools, tmp_path: Path) -> None:
    # The phone's rotation matrix turns the bright half up and the dark half down.
    stored = clip(
        tools, tmp_path / "stored.mp4", "color=black:s=640x360:d=1,drawbox=w=320:c=white:t=fill"
    )
    phone = tmp_path / "phone.mp4"
    turned = ("-display_rotation", "270", "-i", str(stored), "-c", "copy", str(phone))
    subprocess.run([tools.ffmpeg, "-v", "error", *turned], check=True)

    board = drawn(phone, tools, tmp_path / "work")

    [cue] = board.cues
    assert (cue.width, cue.height) == (90, 160)
    assert board.luma(cue, down=0.25) > 200
    assert board.luma(cue, down=0.75) < 50


@pytest.mark.parametrize("frames", [1, 10, 37])
def test_a_video_of_a_moment_has_a_storyboard_too(
    frames: int, tools: Tools, tmp_path: Path
) -> None:
    short = clip(tools, tmp_path / "short.mp4", f"color=white:s=320x180:r=25:d={frames / 25}")

    board = drawn(short, tools, tmp_path / "work")

    assert len(board.cues) == 1
    assert board.duration_sec == pytest.approx(frames / 25, abs=0.001)
    assert board.luma(board.cues[0]) > 240


def test_hdr_is_brought_to_what_screens_show(
    clip_folder: Path, tools: Tools, tmp_path: Path
) -> None:
    made = encoded(clips.hdr_pq(clip_folder, tools), tools, tmp_path / "work")

    tile = grey(made.pictures / "storyboard.jpg", tools)
    thumbnail = grey(made.pictures / "thumb.jpg", tools)

    assert sum(tile) / len(tile) == pytest.approx(sum(thumbnail) / len(thumbnail), abs=8)


def test_a_sheet_of_noise_is_within_bounds(tools: Tools, tmp_path: Path) -> None:
    noisy = "color=gray:s=240x240:r=25:d=2,noise=alls=100:allf=t"

    board = drawn(clip(tools, tmp_path / "noise.mp4", noisy), tools, tmp_path / "work")

    assert {(cue.width, cue.height) for cue in board.cues} == {(160, 160)}
    assert board.size_bytes / len(board.cues) <= SHEET_MAX_BYTES / MAX_TILES


def test_a_storyboard_that_cannot_be_drawn_costs_nobody_the_video(
    clip_folder: Path, tools: Tools, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = f'#!/bin/sh\ncase "$*" in *storyboard.jpg*) exit 1;; esac\nexec {REAL} "$@"\n'
    unable = scripted_ffmpeg(tmp_path, script, tools.ffmpeg)
    source = clips.very_short(clip_folder, tools)

    with caplog.at_level(logging.WARNING, "transcoder.encode.encode_source"):
        made = encoded(source, replace(tools, ffmpeg=unable), tmp_path / "work")

    assert not made.has_storyboard
    assert {path.name for path in made.pictures.iterdir()} == {"poster.jpg", "thumb.jpg"}
    assert "no storyboard" in caplog.text


def test_a_jobs_result_names_the_storyboard_beside_the_poster(
    client: Client, services: TranscoderServices, clip_folder: Path, tools: Tools
) -> None:
    job_id = client.submit(clips.very_short(clip_folder, tools))

    transcode(services, job_id)

    result = client.get(job_id)["result"]
    assert result["storyboard"] == f"storage:posters/a/{job_id}/storyboard.vtt"
    pictures = services.storages["default"]
    stored = [pictures.stat(f"posters/a/{job_id}/storyboard.{end}") for end in ("vtt", "jpg")]
    assert [stat.content_type for stat in stored] == ["text/vtt", "image/jpeg"]
