"""The bits, the quality and the processor time of x264's presets, for two kinds of picture.

`python -m bench.preset_quality` encodes a text that scrolls, as a screen recording shows it, and
the sample clip, as a camera shows it, with each preset. It prints the processor seconds of the
whole encode, the bytes of the largest rendition, and its VMAF against the source.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.encode_cost import SAMPLE, child_seconds
from bench.table import markdown_table
from pipeline.media.probe import probe
from pipeline.media.tools import Tools, locate_tools
from transcoder.encode.encode_source import EncodeOptions, encode_source
from transcoder.encode.ffmpeg_arguments import PLAYLIST

PRESETS = ("veryfast", "faster", "fast", "medium")
TEXT = Path(__file__)
_SCORE = re.compile(r"VMAF score: ([\d.]+)")


def main() -> None:
    tools = locate_tools(os.environ)
    for title, make in CLIPS.items():
        with tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder:
            clip = make(Path(folder), tools)
            rows = [_row(clip, preset, tools) for preset in PRESETS]
        headings = ("preset", "CPU s", "kB of the largest rendition", "VMAF")
        print(f"### {title}\n\n{markdown_table(headings, rows)}\n", flush=True)


def make_jumping(folder: Path, tools: Tools) -> Path:
    """Make a text that moves by two lines twice a second, and stands still meanwhile."""
    return _make_text(folder, tools, "20-floor(t*2)*40")


def make_gliding(folder: Path, tools: Tools) -> Path:
    """Make a text that moves all the time."""
    return _make_text(folder, tools, "20-80*t")


def _make_text(folder: Path, tools: Tools, height: str) -> Path:
    clip = folder / "screen.mp4"
    paper = "color=c=white:s=1280x720:r=30:d=10"
    words = f"drawtext=textfile={TEXT}:fontsize=18:fontcolor=black:x=20:y='{height}'"
    command = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", paper, "-vf", words]
    command += ["-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p", str(clip)]
    subprocess.run(command, check=True)
    return clip


def _sample(_folder: Path, _tools: Tools) -> Path:
    return SAMPLE


CLIPS: dict[str, Callable[[Path, Tools], Path]] = {
    "A text that moves by lines: 1280x720, 30 fps, 10 s": make_jumping,
    "A text that moves all the time: 1280x720, 30 fps, 10 s": make_gliding,
    "The sample clip: 1280x720, 25 fps, 5 s": _sample,
}


def _row(clip: Path, preset: str, tools: Tools) -> tuple[str, ...]:
    info = probe(clip, tools)
    with tempfile.TemporaryDirectory(prefix="khronika-bench-") as name:
        folder = Path(name)

        def encode(into: Path) -> None:
            options = EncodeOptions(preset=preset)
            quiet: Callable[[str, float], None] = lambda _step, _percent: None  # noqa: E731
            encode_source(
                clip, info, into, options, tools, on_progress=quiet, cancelled=lambda: False
            )

        seconds = child_seconds(encode, folder)
        [top, *_] = sorted((folder / "outputs").glob("*/" + PLAYLIST), key=_height, reverse=True)
        segments = sum(each.stat().st_size for each in top.parent.glob("*.m4s"))
        return preset, f"{seconds:.1f}", f"{segments / 1000:.0f}", f"{_vmaf(top, clip, tools):.1f}"


def _height(playlist: Path) -> int:
    return int(playlist.parent.name.removesuffix("p"))


def _vmaf(output: Path, source: Path, tools: Tools) -> float:
    same = "[0:v]setpts=PTS-STARTPTS[a];[1:v]setpts=PTS-STARTPTS[b];[a][b]libvmaf=n_threads=2"
    command = [tools.ffmpeg, "-v", "info", "-i", str(output), "-i", str(source), "-lavfi", same]
    done = subprocess.run([*command, "-f", "null", "-"], check=True, capture_output=True, text=True)
    found = _SCORE.search(done.stderr)
    assert found is not None
    return float(found[1])


if __name__ == "__main__":
    main()
