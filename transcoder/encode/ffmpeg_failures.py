"""Classification of a failed ffmpeg run: caused by the source, by us or by a full disk."""

import re
import shutil
import signal
from pathlib import Path

from pipeline.media.confined import NO_PROGRAM
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.ffmpeg_process import FfmpegResult
from transcoder.encode.free_files import has_no_files

_OVER_A_LIMIT = {-signal.SIGXCPU: "processor time", -signal.SIGXFSZ: "room for one file"}

_UNKNOWN_TO_DECODER = re.compile(
    r"Function not implemented|Not yet implemented in FFmpeg|is not implemented"
    r"|doesn't support hardware accelerated|[Dd]ecoder \([^)]{1,60}\) not found"
    r"|Decoder not found|Decoding requested, but no decoder found"
)
"""Messages about a stream that is whole and asks more of the decoder than it can do."""

_FULL = re.compile("No space left on device|Disk quota exceeded")
"""The C library's words for ENOSPC, which a lack of free inodes is too, and for EDQUOT."""

_FULL_BYTES = 1024**2
"""Free bytes below which a disk counts as full; file systems reserve their last blocks."""


def disk_is_full(folder: Path) -> bool:
    """Check for so little free space, or so few free files, that further writes may fail."""
    return shutil.disk_usage(folder).free < _FULL_BYTES or has_no_files(folder)


def disk_full_failure() -> EncodeFailed:
    """Make the failure for a full disk."""
    detail = "The transcoder's disk is full."
    return EncodeFailed("insufficient_space", detail, retryable=True)


def failure_of(done: FfmpegResult) -> EncodeFailed | None:
    """Return the failure of a finished ffmpeg, or None if it succeeded."""
    if done.returncode == 0:
        return None
    return (
        _failure_of_machine(done)
        or undecoded_failure(done.stderr)
        or _over_a_limit(done)
        or _failure_of_run(done)
    )


def _failure_of_machine(done: FfmpegResult) -> EncodeFailed | None:
    """Return a failure that is not the video's, however often it is repeated."""
    if done.returncode in NO_PROGRAM:
        detail = f"ffmpeg cannot be started: {done.stderr.strip()[:200]}"
        return EncodeFailed("encoder_failed", detail, retryable=True)
    return disk_full_failure() if _FULL.search(done.stderr) else None


def _failure_of_run(done: FfmpegResult) -> EncodeFailed:
    if done.returncode < 0:
        detail = f"The encoder was ended by signal {-done.returncode}."
        return EncodeFailed("encoder_failed", detail, retryable=True)
    last = done.stderr.strip().rpartition("\n")[2]
    # Addresses and counters differ between two runs of the same failure.
    signature = f"{done.returncode} {re.sub(r'0x[0-9a-f]+|[0-9]+', '#', last)}"
    return EncodeFailed("encoder_failed", last[:300], retryable=True, signature=signature)


def undecoded_failure(stderr: str) -> EncodeFailed | None:
    """Return the failure of a decoder that cannot decode, or whose data is broken; else None."""
    if found := _UNKNOWN_TO_DECODER.search(stderr):
        detail = f"This build of ffmpeg cannot decode the video: {found[0]}."
        return EncodeFailed("undecodable", detail, signature="undecodable")
    if "Decode error rate" in stderr:  # ffmpeg's verdict when two frames of three are broken
        detail = "The video could not be decoded."
        return EncodeFailed("source_corrupt", detail, signature="decode error rate")
    return None


def _over_a_limit(done: FfmpegResult) -> EncodeFailed | None:
    """Return the failure of a run that met one of its limits, and would meet it again."""
    what = _OVER_A_LIMIT.get(done.returncode)
    if what is None and "Cannot allocate memory" in done.stderr:
        what = "memory"
    if what is None:
        return None
    detail = f"Converting this video needs more {what} than is allowed for its size."
    return EncodeFailed("encode_failed", detail)


def repeated_failure(failure: EncodeFailed) -> EncodeFailed:
    """Make the terminal failure for a failure that occurred twice in the same way."""
    detail = f"The encoder fails on this video: {failure.detail}"
    return EncodeFailed("encode_failed", detail, signature=failure.signature)
