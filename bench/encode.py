"""What our encode costs in processor time, against ffmpeg commands written by hand.

`python -m bench.encode` encodes the sample clip, looped to about 20 s, in turn with

* (a) the same ladder as one ffmpeg command, and
* (b) one ffmpeg command per rendition,

several times over, and prints the user and system seconds of all child processes. Ours includes
what the others leave out: the fallback, the pictures and the measuring. The runs alternate, so
that a machine that slows down slows all three.
"""

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.media.probe import probe
from pipeline.media.tools import Tools, locate_tools
from transcoder.encode.ladder import Rung, ladder
from transcoder.encode.produce import EncodeOptions, encode

SAMPLE = Path("tests/media/big-buck-bunny-720p-5s.mp4")
ONE_COMMAND_TARGET = 1.15
PER_RENDITION_TARGET = 0.7
PRESET = "veryfast"
LOOPS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of our encode, in processor time.")
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    tools = locate_tools(os.environ)
    with tempfile.TemporaryDirectory(prefix="khronika-bench-") as folder:
        clip = lengthened(SAMPLE, Path(folder) / "clip.mp4", tools)
        print(table(measured(clip, Path(folder), tools, runs)))


def lengthened(sample: Path, clip: Path, tools: Tools) -> Path:
    loop = ("-stream_loop", str(LOOPS - 1), "-i", str(sample), "-c", "copy", str(clip))
    subprocess.run([tools.ffmpeg, "-v", "error", "-y", *loop], check=True)
    return clip


def measured(clip: Path, folder: Path, tools: Tools, runs: int) -> dict[str, list[float]]:
    info = probe(clip, tools)
    rungs = ladder(info.width, info.height)

    def ours(into: Path) -> None:
        options = EncodeOptions(preset=PRESET)
        quiet: Callable[[str, float], None] = lambda _step, _percent: None  # noqa: E731
        encode(clip, info, into, options, tools, on_progress=quiet, cancelled=lambda: False)

    def one_command(into: Path) -> None:
        subprocess.run(by_hand(clip, rungs, tools, into), check=True)

    def per_rendition(into: Path) -> None:
        for rung in rungs:
            subprocess.run(by_hand(clip, (rung,), tools, into), check=True)

    contenders = {"ours": ours, "one command": one_command, "per rendition": per_rendition}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, contender in contenders.items():
            with tempfile.TemporaryDirectory(dir=folder) as into:
                seconds[name].append(child_seconds(contender, Path(into)))
    return seconds


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


def table(seconds: dict[str, list[float]]) -> str:
    median = {name: statistics.median(runs) for name, runs in seconds.items()}
    rows = [
        ("ours (with fallback and pictures)", median["ours"], "", ""),
        _row("(a) one command by hand", median, "one command", ONE_COMMAND_TARGET),
        _row("(b) one command per rendition", median, "per rendition", PER_RENDITION_TARGET),
    ]
    spread = ", ".join(
        f"{name} {min(runs):.2f}-{max(runs):.2f} s" for name, runs in seconds.items()
    )
    lines = ["| encode | CPU s, median | ours ÷ this | target |", "|---|---|---|---|"]
    lines += [f"| {name} | {cpu:.2f} | {ratio} | {target} |" for name, cpu, ratio, target in rows]
    count = len(seconds["ours"])
    return "\n".join([*lines, "", f"{count} alternated runs; least and most: {spread}."])


def _row(
    label: str, median: dict[str, float], name: str, target: float
) -> tuple[str, float, str, str]:
    ratio = median["ours"] / median[name]
    verdict = "met" if ratio <= target else "MISSED"
    return label, median[name], f"{ratio:.2f}", f"≤ {target}: {verdict}"


if __name__ == "__main__":
    main()
