"""Every number the API and its manifest give, against ffprobe, for every kind of source."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipeline.media.tools import Tools
from tests import clips
from tests.acceptance.measured import Measured, measured
from tests.acceptance.outputs import Published, Rendition, fetch_published
from tests.acceptance.stage import Stage
from tests.clips import Kind


def several_segments(folder: Path, tools: Tools) -> Path:
    """14 s, so that there are three segments, a short one last; only the second shows much.

    The other kinds fit one segment, in which peak and average are the same.
    """
    clip = folder / "several_segments.mp4"
    shape = "size=640x360:rate=25:duration=14"
    picture = f"color=c=gray:{shape}[still];testsrc2={shape}[moving];"
    picture += "[still][moving]overlay=enable='between(t,6,12)'"
    command = [tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", str(clip)]
    subprocess.run(command, check=True, timeout=240)
    return clip


@dataclass(frozen=True)
class Expected:
    """What must come out at the top of the ladder, known from how the clip was made."""

    width: int
    height: int
    duration_sec: float
    frame_rate: Fraction = Fraction(25)
    has_sound: bool = True


EXPECTED: Mapping[Kind, Expected] = {
    clips.widescreen: Expected(640, 360, 2),
    clips.portrait: Expected(360, 640, 1),
    clips.rotated: Expected(360, 640, 2),
    clips.film_rate: Expected(320, 180, 2.002, Fraction(24000, 1001)),
    # 40 frames in two seconds at an uneven pace: the nearest standard rate.
    clips.variable_rate: Expected(320, 180, 2, Fraction(30)),
    clips.hevc_10_bit: Expected(320, 180, 1),
    clips.hdr_pq: Expected(320, 180, 1),
    clips.vp9_webm: Expected(320, 180, 1),
    clips.prores_mov: Expected(320, 180, 1),
    # 321x181, made even without growing.
    clips.odd_size: Expected(320, 180, 1),
    clips.silent: Expected(320, 180, 1, has_sound=False),
    clips.very_short: Expected(320, 180, 0.4),
    # 720x576 of 16:15 is shown as 768x576; 480p is the largest profile it reaches.
    clips.anamorphic: Expected(768, 576, 1),
    clips.interlaced: Expected(320, 240, 1),
    several_segments: Expected(640, 360, 14, has_sound=False),
}

SOURCE_TOLERANCE_SEC = 0.1
"""An uneven source made even ends up to two frames of 20 a second away from where it ended."""
RATE_TOLERANCE = 0.01
"""How much more than it needs a manifest may ask of a viewer's line."""


@dataclass(frozen=True)
class Made:
    """A completed asset, and everything published of it, on this machine."""

    asset: dict[str, Any]
    playback: dict[str, Any]
    published: Published

    @property
    def top(self) -> Rendition:
        """The largest rendition."""
        return max(self.published.renditions, key=lambda one: one.variant.height or 0)


Make = Callable[[Kind], Made]


@pytest.fixture(scope="module")
def made(stage: Stage) -> Make:
    """Every kind is submitted at once; each is waited for when a test first asks for it."""
    sources = {kind: stage.sources.offer(kind(stage.folder, stage.tools)) for kind in EXPECTED}
    videos = {
        kind: stage.register(source.url, title=kind.__name__) for kind, source in sources.items()
    }

    @cache
    def make(kind: Kind) -> Made:
        asset = stage.await_end(videos[kind])
        assert (asset["status"], asset["error_code"]) == ("completed", None)
        playback = stage.ask("GET", f"/api/video-assets/{asset['post_id']}/playback", as_=None)
        return Made(asset, playback.answer, fetch_published(asset, stage.folder / asset["id"]))

    return make


each_kind = pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)


@each_kind
def test_size_and_duration_in_the_api_are_those_of_the_files(
    stage: Stage, made: Make, kind: Kind
) -> None:
    expected, result = EXPECTED[kind], made(kind)
    top = measured(result.top.joined(), stage.tools)
    fallback = measured(result.published.fallback, stage.tools)

    for shown in (result.asset, result.playback):
        assert (shown["width"], shown["height"]) == (top.width, top.height)
        assert shown["duration_sec"] == pytest.approx(top.duration_sec, abs=0.001)
        assert shown["duration_sec"] == pytest.approx(fallback.duration_sec, abs=0.001)
    assert (top.width, top.height) == (expected.width, expected.height)
    assert top.duration_sec == pytest.approx(expected.duration_sec, abs=SOURCE_TOLERANCE_SEC)


@each_kind
def test_every_figure_of_the_manifest_is_that_of_the_files(
    stage: Stage, made: Make, kind: Kind
) -> None:
    for rendition in made(kind).published.renditions:
        variant, found = rendition.variant, measured(rendition.joined(), stage.tools)

        assert (variant.width, variant.height) == (found.width, found.height)
        assert variant.codecs == found.codecs
        # Three decimals, as RFC 8216, 4.3.4.2 has it.
        assert variant.frame_rate == pytest.approx(float(found.frame_rate), abs=0.0005)
        assert found.frame_rate == EXPECTED[kind].frame_rate
        assert rendition.playlist.duration_sec == pytest.approx(found.duration_sec, abs=0.001)
        average_bps, peak_bps = rates_of(rendition)
        assert variant.average_bandwidth_bps == pytest.approx(average_bps, rel=RATE_TOLERANCE)
        assert peak_bps <= variant.bandwidth_bps <= peak_bps * (1 + RATE_TOLERANCE) + 1


@each_kind
def test_every_rendition_is_what_any_browser_shows(stage: Stage, made: Make, kind: Kind) -> None:
    result = made(kind)
    files = [*(one.joined() for one in result.published.renditions), result.published.fallback]

    for found in (measured(file, stage.tools) for file in files):
        assert plainly(found) == ("yuv420p", "1:1", "bt709", True, 0)
        assert ("mp4a" in found.codecs) == EXPECTED[kind].has_sound


def test_a_peak_is_told_from_the_average_where_they_differ(made: Make) -> None:
    top = made(several_segments).top

    assert len(top.playlist.segments) == 3
    assert top.variant.average_bandwidth_bps is not None
    assert top.variant.bandwidth_bps > 1.5 * top.variant.average_bandwidth_bps


def plainly(found: Measured) -> tuple[str, str, str, bool, int]:
    """8 bits, square pixels, standard colours, whole frames, upright."""
    return (
        found.pixel_format,
        found.sample_aspect_ratio,
        found.transfer,
        found.progressive,
        found.rotation,
    )


def rates_of(rendition: Rendition) -> tuple[float, float]:
    """Average and peak bits per second of the segments' files.

    The peak is that of RFC 8216, 4.1: the largest over contiguous segments that last between half
    and one and a half target durations together.
    """
    pieces = [
        (8 * (rendition.folder / segment.uri).stat().st_size, segment.duration_sec)
        for segment in rendition.playlist.segments
    ]
    target_sec = rendition.playlist.target_duration_sec
    runs = [
        (sum(bits for bits, _ in run), sum(length_sec for _, length_sec in run))
        for start in range(len(pieces))
        for run in (pieces[start:end] for end in range(start + 1, len(pieces) + 1))
    ]
    counted = [run for run in runs if 0.5 * target_sec <= run[1] <= 1.5 * target_sec]
    bits, length_sec = runs[len(pieces) - 1]
    average_bps = bits / length_sec
    return average_bps, max((bits / length for bits, length in counted), default=average_bps)
