"""Proof of this machine's ffmpeg and ffprobe: they make a tiny video, and measure it.

A machine that cannot do so says nothing about a video that it could not read or convert.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.media.child_process import ChildTimedOut, ChildTooLoud, run_child
from pipeline.media.confinement import GIB, Confinement, Reach
from pipeline.media.own_folder import own_folder
from pipeline.media.probe import probe
from pipeline.media.source_limits import MediaRefused
from pipeline.media.tools import Tools

PROOF = "khronika-proof-"
"""Beginning of the names of the folders of proofs."""
MPEG4 = ("-c:v", "mpeg4")
"""An encoder that every build of ffmpeg has."""
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
"""The encoder of the renditions."""

_PROOF = Confinement(memory_bytes=4 * GIB, cpu_sec=20, file_bytes=1024**2, open_files=256)
_SIDE, _FRAMES = 64, 5
_TIMEOUT_SEC = 30
_MAX_OUTPUT_BYTES = 64 * 1024


class ToolsUnfit(Exception):
    """This machine's ffmpeg or ffprobe does not work."""


def prove_tools(tools: Tools, encoder: Sequence[str] = MPEG4, folder: Path | None = None) -> None:
    """Encode a grey second, and measure it; this takes a fifth of a second.

    Args:
        tools: The programs to prove.
        encoder: ffmpeg's options of the video encoder.
        folder: Folder to do it in; None for the system's temporary one.

    Raises:
        ToolsUnfit: The message names the program that failed.
    """
    try:
        with own_folder(PROOF, folder) as own:
            _prove(tools, encoder, own)
    except OSError as error:
        raise ToolsUnfit(f"this machine cannot run or store anything: {error}") from error


def _prove(tools: Tools, encoder: Sequence[str], folder: Path) -> None:
    frames, video = folder / "frames", folder / "video.mp4"
    frames.write_bytes(b"\x80" * (_SIDE * _SIDE * 3 // 2 * _FRAMES))
    size = f"{_SIDE}x{_SIDE}"
    argv = (
        *(tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-protocol_whitelist", "file"),
        *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-video_size", size),
        *("-framerate", str(_FRAMES), "-i", f"file:{frames}"),
        *encoder,
        *("-f", "mp4", f"file:{video}"),
    )
    try:
        done = run_child(
            argv,
            _PROOF,
            Reach(reads=(frames,), writes=folder),
            timeout_sec=_TIMEOUT_SEC,
            max_output_bytes=_MAX_OUTPUT_BYTES,
        )
    except (ChildTimedOut, ChildTooLoud) as error:
        raise ToolsUnfit(f"ffmpeg does not encode: {error}") from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ToolsUnfit(f"ffmpeg does not encode: it ended with {done.returncode}. {last[:200]}")
    try:
        info = probe(video, tools)
    except MediaRefused as error:
        raise ToolsUnfit(f"ffprobe does not measure: {error}") from error
    if (info.width, info.height) != (_SIDE, _SIDE):
        raise ToolsUnfit(f"ffprobe measures {info.width}x{info.height} instead of {size}")
