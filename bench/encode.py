"""What our encode costs in processor time, against ffmpeg commands written by hand.

`python -m bench.encode` encodes two sources,

* the sample clip, looped to about 20 s, where encoding is nearly all of the cost, and
* the same as a phone of today would have taken it: 3840x2160 in HEVC, made on the spot, where
  decoding and scaling weigh as much as encoding,

each in turn with

* ours, which includes what the others leave out: reading all packets to find out whether the source
  is whole, the fallback, the pictures, the storyboard and the measuring,
* (a) the same ladder as one ffmpeg command, and
* (b) one ffmpeg command per rendition, as MediaCMS and PeerTube run it, each of which decodes the
  source and scales from it anew.

It prints the user and system seconds of all child processes, the storyboard's part of ours (drawn
once more from what the encode left), and renditions and fallback in bytes for each byte of the
source (`transcoder.scratch_space.LADDER_FACTOR`). The runs alternate, so that a
machine that slows down slows all three.
"""

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.media.probe import probe
from pipeline.media.tools import Tools, locate_tools
from transcoder.encode.encode_source import EncodeOptions, encode_source
from transcoder.encode.ffmpeg_runner import FfmpegRunner
from transcoder.encode.ladder import Rung, ladder
from transcoder.encode.storyboard_sheet import SHEET, plan_storyboard, sheet_command

SAMPLE = Path("tests/media/big-buck-bunny-720p-5s.mp4")
ONE_COMMAND_TARGET = 1.15
PER_RENDITION_TARGET = 0.7
PRESET = "veryfast"
LOOPS = 4


@dataclass(frozen=True)
class Source:
    """A clip, what it is, and how often it is encoded with each contender."""

    title: str
    make: Callable[[Path, Tools], Path]
    runs: int


@dataclass
class Figures:
    """Processor seconds of each run and of its storyboard, and how much ours grew the source."""

    seconds: dict[str, list[float]]
    storyboard: list[float] = field(default_factory=list)
    growth: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of our encode, in processor time.")
    parser.add_argument("--runs", type=int, help="of each contender, instead of 3 and 2")
    runs = parser.parse_args().runs
    tools = locate_tools(os.environ)
    for source in SOURCES:
        with tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder:
            clip = source.make(Path(folder), tools)
            figures = measured(clip, Path(folder), tools, runs or source.runs)
        print(f"### {source.title}\n\n{table(figures)}\n", flush=True)


def lengthened(folder: Path, tools: Tools) -> Path:
    clip = folder / "clip.mp4"
    loop = ("-stream_loop", str(LOOPS - 1), "-i", str(SAMPLE), "-c", "copy", str(clip))
    subprocess.run([tools.ffmpeg, "-v", "error", "-y", *loop], check=True)
    return clip


def phone_like(folder: Path, tools: Tools) -> Path:
    """Grain, because a phone's sensor has it and its encoder keeps it: about 50 Mbit/s."""
    clip = folder / "phone.mp4"
    command = [tools.ffmpeg, "-v", "error", "-y", "-t", "4", "-i", str(SAMPLE)]
    command += ["-vf", "scale=3840:2160:flags=bicubic,noise=alls=12:allf=t,format=yuv420p"]
    command += ["-c:v", "libx265", "-preset", "ultrafast", "-b:v", "50M", "-tag:v", "hvc1"]
    command += ["-x265-params", "log-level=error:keyint=50", "-c:a", "aac", "-ac", "2", str(clip)]
    subprocess.run(command, check=True)
    return clip


SOURCES = (
    Source("The sample clip: 1280x720, H.264, 25 fps, 21 s", lengthened, 3),
    Source("Phone-like: 3840x2160, HEVC, 25 fps, 4 s", phone_like, 2),
)


def measured(clip: Path, folder: Path, tools: Tools, runs: int) -> Figures:
    info = probe(clip, tools)
    rungs = ladder(info.width, info.height)

    def ours(into: Path) -> None:
        options = EncodeOptions(preset=PRESET)
        quiet: Callable[[str, float], None] = lambda _step, _percent: None  # noqa: E731
        encode_source(clip, info, into, options, tools, on_progress=quiet, cancelled=lambda: False)

    def storyboard(into: Path) -> None:
        smallest = into / "outputs" / rungs[-1].name
        board = plan_storyboard(info.duration_sec, rungs[-1].width, rungs[-1].height)
        sheet = into / SHEET
        FfmpegRunner(info, into, lambda: False, stall_sec=60).run(
            sheet_command(smallest, board, ffmpeg=tools.ffmpeg, into=sheet)
        )
        assert sheet.is_file()

    def one_command(into: Path) -> None:
        subprocess.run(by_hand(clip, rungs, tools, into), check=True)

    def per_rendition(into: Path) -> None:
        for rung in rungs:
            subprocess.run(by_hand(clip, (rung,), tools, into), check=True)

    contenders = {"ours": ours, "one command": one_command, "per rendition": per_rendition}
    figures = Figures({name: [] for name in contenders})
    for _ in range(runs):
        for name, contender in contenders.items():
            with tempfile.TemporaryDirectory(dir=folder) as into:
                figures.seconds[name].append(child_seconds(contender, Path(into)))
                if contender is ours:
                    figures.storyboard.append(child_seconds(storyboard, Path(into)))
                    figures.growth = size_of(Path(into)) / clip.stat().st_size
    return figures


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def child_seconds(contender: Callable[[Path], None], into: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    contender(into)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def by_hand(clip: Path, rungs: tuple[Rung, ...], tools: Tools, into: Path) -> list[str]:
    """The command a careful person would write: same encoder settings, every rung scaled from
    the source, the sound encoded for each.
    """
    pads = "".join(f"[s{n}]" for n in range(len(rungs)))
    scales = ";".join(
        f"[s{n}]scale={rung.width}:{rung.height},format=yuv420p[v{n}]"
        for n, rung in enumerate(rungs)
    )
    command = [tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(clip)]
    command += ["-filter_complex", f"[0:v:0]split={len(rungs)}{pads};{scales}"]
    for number, rung in enumerate(rungs):
        (into / rung.name).mkdir()
        ceiling = rung.profile.video_bps
        command += ["-map", f"[v{number}]", "-map", "0:a:0", "-c:v", "libx264"]
        command += ["-preset", PRESET, "-profile:v", "high", "-crf", "23"]
        command += ["-maxrate", str(ceiling), "-bufsize", str(2 * ceiling)]
        command += ["-force_key_frames", "expr:gte(t,n_forced*2)", "-sc_threshold", "0"]
        command += ["-flags", "+cgop", "-c:a", "aac", "-ac", "2", "-ar", "48000"]
        command += ["-b:a", str(rung.profile.audio_bps), "-f", "hls", "-hls_time", "6"]
        command += ["-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]
        command += ["-hls_segment_filename", str(into / rung.name / "seg_%05d.m4s")]
        command += [str(into / rung.name / "index.m3u8")]
    return command


def table(figures: Figures) -> str:
    seconds = figures.seconds
    median = {name: statistics.median(runs) for name, runs in seconds.items()}
    one, each = median["ours"] / median["one command"], median["ours"] / median["per rendition"]
    rows = [
        ("ours (with checks, fallback, pictures, storyboard)", median["ours"], "", ""),
        (
            *("(a) one command by hand", median["one command"], f"{one:.2f}"),
            f"≤ {ONE_COMMAND_TARGET}: {_verdict(met=one <= ONE_COMMAND_TARGET)}",
        ),
        (
            *("(b) one command per rendition", median["per rendition"], f"{each:.2f}"),
            f"< {PER_RENDITION_TARGET}: {_verdict(met=each < PER_RENDITION_TARGET)}",
        ),
    ]
    spread = ", ".join(
        f"{name} {min(runs):.2f}-{max(runs):.2f} s" for name, runs in seconds.items()
    )
    lines = ["| encode | CPU s, median | ours ÷ this | target |", "|---|---|---|---|"]
    lines += [f"| {name} | {cpu:.2f} | {ratio} | {target} |" for name, cpu, ratio, target in rows]
    note = f"{len(seconds['ours'])} alternated runs; least and most: {spread}."
    share = statistics.median(figures.storyboard) / median["ours"]
    note += f" Storyboard ÷ ours: {share:.3f}. Output ÷ source: {figures.growth:.1f}."
    return "\n".join([*lines, "", note])


def _verdict(*, met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    main()
