"""Encodes made by tests, with the means to measure them independently of the product."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.media.probe import probe
from pipeline.media.source_info import SourceInfo
from pipeline.media.tools import Tools
from transcoder.encode.encode_source import Encoded, EncodeOptions, encode_source


@dataclass(frozen=True)
class Made:
    """Encode with the tools to inspect it."""

    info: SourceInfo
    encoded: Encoded
    tools: Tools
    progress: list[tuple[str, float]]

    @property
    def playlists(self) -> list[Path]:
        return [self.encoded.outputs / r.profile / "index.m3u8" for r in self.encoded.renditions]

    @property
    def fallback(self) -> Path:
        return self.encoded.outputs / "fallback/video.mp4"

    @property
    def everything(self) -> list[Path]:
        return [*self.playlists, self.fallback]

    def streams(self, path: Path, kind: str) -> list[dict[str, Any]]:
        command = [self.tools.ffprobe, "-v", "error", "-show_streams", "-of", "json", str(path)]
        done = subprocess.run(command, check=True, capture_output=True)
        found = json.loads(done.stdout)["streams"]
        return [stream for stream in found if stream["codec_type"] == kind]

    def frames(self, path: Path) -> list[tuple[float, bool]]:
        """List the instant of each decoded frame, with True for a key frame."""
        command = [self.tools.ffprobe, "-v", "error", "-select_streams", "v:0", "-of", "json"]
        command += ["-show_entries", "frame=pts_time,key_frame", str(path)]
        done = subprocess.run(command, check=True, capture_output=True)
        found = json.loads(done.stdout)["frames"]
        return [(float(frame["pts_time"]), frame["key_frame"] == 1) for frame in found]

    def luma(self, path: Path) -> list[int]:
        """Return the luma of the first decoded frame, scaled to 16x16."""
        command = [self.tools.ffmpeg, "-v", "error", "-i", str(path)]
        command += ["-frames:v", "1", "-vf", "scale=16:16:flags=area", "-pix_fmt", "yuv420p"]
        done = subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True)
        return list(done.stdout[:256])

    def length_sec(self, path: Path, stream: str) -> float:
        """Return the end of the last packet of the first stream of a kind, `v` or `a`."""
        command = [self.tools.ffprobe, "-v", "error", "-select_streams", f"{stream}:0"]
        command += ["-show_entries", "packet=pts_time,duration_time", "-of", "json", str(path)]
        done = subprocess.run(command, check=True, capture_output=True)
        packets = json.loads(done.stdout)["packets"]
        return max(float(p["pts_time"]) + float(p["duration_time"]) for p in packets)

    def pictures(self, path: Path) -> list[bytes]:
        """Return every decoded frame's luma, scaled to 16x16."""
        command = [self.tools.ffmpeg, "-v", "error", "-i", str(path), "-f", "rawvideo"]
        command += ["-vf", "scale=16:16:flags=area,format=gray", "-"]
        done = subprocess.run(command, check=True, capture_output=True)
        return [done.stdout[at : at + 256] for at in range(0, len(done.stdout), 256)]

    def grey_frames(self, path: Path) -> list[bytes]:
        """Return every decoded frame's luma at its full size."""
        [video, *_] = self.streams(path, "video")
        command = [self.tools.ffmpeg, "-v", "error", "-i", str(path), "-f", "rawvideo"]
        command += ["-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "gray", "-"]
        done = subprocess.run(command, check=True, capture_output=True)
        size = video["width"] * video["height"]
        return [done.stdout[at : at + size] for at in range(0, len(done.stdout), size)]

    def sound_begins_sec(self, path: Path) -> float:
        """Return the instant of the first loud sample after the first frame shown."""
        command = [self.tools.ffmpeg, "-v", "error", "-i", str(path), "-af", "aresample=8000"]
        command += ["-vn", "-ac", "1", "-f", "s16le", "-"]
        done = subprocess.run(command, check=True, capture_output=True)
        samples = memoryview(done.stdout).cast("h")
        return next(at for at, sample in enumerate(samples) if abs(sample) > 1000) / 8000


Make = Callable[..., Made]


def maker(tools: Tools, new_folder: Callable[[str], Path]) -> Make:
    """Return a function that encodes a clip, once for the same clip and options."""

    @cache
    def make(clip: Path, **options: Any) -> Made:
        info = probe(clip, tools)
        progress: list[tuple[str, float]] = []
        encoded = encode_source(
            clip,
            info,
            new_folder("work"),
            EncodeOptions(**options),
            tools,
            on_progress=lambda step, percent: progress.append((step, percent)),
            cancelled=lambda: False,
        )
        return Made(info, encoded, tools, progress)

    return make


def ffmpeg(tools: Tools, into: Path, *arguments: str) -> Path:
    if not into.exists():
        subprocess.run([tools.ffmpeg, "-v", "error", "-y", *arguments, str(into)], check=True)
    return into
