"""The processor time of our encode, compared with ffmpeg commands written by hand.

`python -m bench.encode_cost` encodes two sources:

* the sample clip, looped to about 20 s, of whose cost encoding is nearly all, and
* the same clip as a present phone would record it: 3840x2160 in HEVC, made here, of whose cost
  decoding and scaling are as large a part as encoding.

Each source is encoded by three contenders:

* ours, which does work that the other two leave out: it reads all packets to see if the source is
  whole, makes the fallback, the pictures and the storyboard, and measures the result,
* (a) the same ladder by one ffmpeg command, and
* (b) one ffmpeg command per rendition, as MediaCMS and PeerTube run it; each command decodes the
  source and scales from it again.

It prints the user and system seconds of all child processes, the share of the storyboard in ours
(made once more from the outputs of the encode), and the bytes of renditions and fallback per byte
of the source (`transcoder.scratch_space.LADDER_FACTOR`). The contenders alternate, so that a
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

from bench.table import markdown_table, verdict
from pipeline.media.confinement import Reach
from pipeline.media.probe import probe
from pipeline.media.tools import Tools, locate_tools
from transcoder.encode.encode_source import EncodeOptions, encode_source
from transcoder.encode.ffmpeg_runner import FfmpegRunner
from transcoder.encode.ladder import Rung, ladder
from transcoder.encode.storyboard_sheet import SHEET, plan_storyboard, sheet_command

SAMPLE = Path("tests/media/big-buck-bunny-720p-5s.mp4")
BASELINES = (
    ("(a) one command by hand", "one command", "≤", 1.15),
    ("(b) one command per rendition", "per rendition", "<", 0.7),
)
"""Title of the row, name of the contender, and the target of our cost divided by its cost."""
PRESET = "veryfast"
LOOPS = 4


@dataclass(frozen=True)
class Clip:
    """A source to encode.

    Attributes:
        title: Its resolution, codec, frame rate and duration.
        make: Makes its file in a folder.
        runs: Runs of each contender.
    """

    title: str
    make: Callable[[Path, Tools], Path]
    runs: int


@dataclass
class EncodeFigures:
    """The measurements of one clip.

    Attributes:
        seconds: Processor seconds of each run, by contender.
        storyboard: Processor seconds of the storyboard in each of our runs.
        growth: Bytes of our outputs per byte of the source.
    """

    seconds: dict[str, list[float]]
    storyboard: list[float] = field(default_factory=list)
    growth: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the processor time of our encode.")
    parser.add_argument("--runs", type=int, help="runs of each contender; default: 3 and 2")
    runs = parser.parse_args().runs
    tools = locate_tools(os.environ)
    for clip in CLIPS:
        with tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder:
            file = clip.make(Path(folder), tools)
            figures = measure_encodes(file, Path(folder), tools, runs or clip.runs)
        print(f"### {clip.title}\n\n{cost_table(figures)}\n", flush=True)


def make_looped_sample(folder: Path, tools: Tools) -> Path:
    clip = folder / "clip.mp4"
    loop = ("-stream_loop", str(LOOPS - 1), "-i", str(SAMPLE), "-c", "copy", str(clip))
    subprocess.run([tools.ffmpeg, "-v", "error", "-y", *loop], check=True)
    return clip


def make_phone_like(folder: Path, tools: Tools) -> Path:
    """Make a clip of about 50 Mbit/s with grain: a phone's sensor adds it, its encoder keeps it."""
    clip = folder / "phone.mp4"
    command = [tools.ffmpeg, "-v", "error", "-y", "-t", "4", "-i", str(SAMPLE)]
    command += ["-vf", "scale=3840:2160:flags=bicubic,noise=alls=12:allf=t,format=yuv420p"]
    command += ["-c:v", "libx265", "-preset", "ultrafast", "-b:v", "50M", "-tag:v", "hvc1"]
    command += ["-x265-params", "log-level=error:keyint=50", "-c:a", "aac", "-ac", "2", str(clip)]
    subprocess.run(command, check=True)
    return clip


CLIPS = (
    Clip("The sample clip: 1280x720, H.264, 25 fps, 21 s", make_looped_sample, 3),
    Clip("Phone-like: 3840x2160, HEVC, 25 fps, 4 s", make_phone_like, 2),
)


def measure_encodes(clip: Path, folder: Path, tools: Tools, runs: int) -> EncodeFigures:
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
            sheet_command(smallest, board, ffmpeg=tools.ffmpeg, into=sheet),
            Reach(reads=(smallest,), writes=into),
        )
        assert sheet.is_file()

    def one_command(into: Path) -> None:
        subprocess.run(reference_command(clip, rungs, tools, into), check=True)

    def per_rendition(into: Path) -> None:
        for rung in rungs:
            subprocess.run(reference_command(clip, (rung,), tools, into), check=True)

    contenders = {"ours": ours, "one command": one_command, "per rendition": per_rendition}
    figures = EncodeFigures({name: [] for name in contenders})
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


def reference_command(clip: Path, rungs: tuple[Rung, ...], tools: Tools, into: Path) -> list[str]:
    """Return the command that a careful person would write.

    It has our encoder settings, scales each rung from the source, and encodes the audio of each.
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


def cost_table(figures: EncodeFigures) -> str:
    seconds = figures.seconds
    cost = {name: statistics.median(runs) for name, runs in seconds.items()}
    rows = [("ours (with checks, fallback, pictures, storyboard)", f"{cost['ours']:.2f}", "", "")]
    for title, name, sign, target in BASELINES:
        ratio = cost["ours"] / cost[name]
        met = ratio < target if sign == "<" else ratio <= target
        rows.append(
            (title, f"{cost[name]:.2f}", f"{ratio:.2f}", f"{sign} {target}: {verdict(met=met)}")
        )
    ranges = ", ".join(
        f"{name} {min(runs):.2f}-{max(runs):.2f} s" for name, runs in seconds.items()
    )
    share = statistics.median(figures.storyboard) / cost["ours"]
    note = (
        f"{len(seconds['ours'])} alternated runs; least and most: {ranges}. "
        f"Storyboard ÷ ours: {share:.3f}. Output ÷ source: {figures.growth:.1f}."
    )
    table = markdown_table(("encode", "CPU s, median", "ours ÷ this", "target"), rows)
    return f"{table}\n\n{note}"


if __name__ == "__main__":
    main()
