"""The one small video of a run: as a source, and as outputs that pass the real gate."""

import shutil
import subprocess
from os import environ
from pathlib import Path

from pipeline.media.tools import locate_tools
from stack.home import CHECKOUT

REAL_CLIP = CHECKOUT / "tests" / "media" / "big-buck-bunny-720p-5s.mp4"
"""Long enough that its encode can be killed half way."""

_SOURCE = "-f lavfi -i testsrc2=size=160x90:rate=10:duration=2 -f lavfi -i sine=duration=2"
_X264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac -shortest"
_HLS = (
    "-f hls -hls_segment_type fmp4 -hls_playlist_type vod -hls_time 6"
    " -master_pl_name master.m3u8 index.m3u8"
)
_POSTER = "-ss 1 -frames:v 1 -update 1"


def make_media(folder: Path) -> None:
    """Fill a folder with everything that the scripted provider serves."""
    folder.mkdir(exist_ok=True)
    _ffmpeg(folder, f"{_SOURCE} {_X264} -movflags +faststart source.mp4")
    _ffmpeg(folder, f"-i source.mp4 -c copy -g 20 {_HLS}")
    _ffmpeg(folder, f"-i source.mp4 {_POSTER} poster.jpg")
    _ffmpeg(folder, f"-i source.mp4 -vf drawbox=c=black:t=fill {_POSTER} black.jpg")
    shutil.copyfile(folder / "source.mp4", folder / "video.mp4")
    shutil.copyfile(REAL_CLIP, folder / "real.mp4")
    whole = (folder / "source.mp4").read_bytes()
    (folder / "broken.mp4").write_bytes(whole[: len(whole) // 2])


def _ffmpeg(folder: Path, arguments: str) -> None:
    command = [locate_tools(environ).ffmpeg, "-v", "error", "-y", *arguments.split()]
    subprocess.run(command, cwd=folder, check=True)
