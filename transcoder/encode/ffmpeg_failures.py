"""What a failed ffmpeg means: the source's fault, ours, or the disk's."""

import re
import shutil
import signal
from pathlib import Path

from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.ffmpeg_process import FfmpegResult

_OVER_A_LIMIT = {-signal.SIGXCPU: "processor time", -signal.SIGXFSZ: "room for one file"}

_FULL_BYTES = 1024**2
"""A disk with less has no room for a segment; file systems keep their last blocks to themselves."""


def disk_is_full(folder: Path) -> bool:
    """Whether nothing more can be relied on to be written."""
    return shutil.disk_usage(folder).free < _FULL_BYTES


def disk_full_failure() -> EncodeFailed:
    """The failure that a full disk is, by whatever it showed itself."""
    detail = "The transcoder's disk is full."
    return EncodeFailed("insufficient_space", detail, retryable=True)


def failure_of(done: FfmpegResult) -> EncodeFailed | None:
    """Why a finished ffmpeg failed, or None when it did not."""
    if done.returncode == 0:
        return None
    if "No space left on device" in done.stderr:
        return disk_full_failure()
    if "Decode error rate" in done.stderr:  # ffmpeg's verdict when two frames of three are broken
        return EncodeFailed("source_corrupt", "The video could not be decoded.")
    if limited := _over_a_limit(done):
        return limited
    if done.returncode < 0:
        detail = f"The encoder was ended by signal {-done.returncode}."
        return EncodeFailed("encoder_failed", detail, retryable=True)
    last = done.stderr.strip().rpartition("\n")[2]
    # Addresses and counters differ between two runs of the same failure.
    signature = f"{done.returncode} {re.sub(r'0x[0-9a-f]+|[0-9]+', '#', last)}"
    return EncodeFailed("encoder_failed", last[:300], retryable=True, signature=signature)


def _over_a_limit(done: FfmpegResult) -> EncodeFailed | None:
    """A run that met one of its limits (`bounds.py`), and would again."""
    what = _OVER_A_LIMIT.get(done.returncode)
    if what is None and "Cannot allocate memory" in done.stderr:
        what = "memory"
    if what is None:
        return None
    detail = f"The video takes more {what} to convert than one of its size may."
    return EncodeFailed("encode_failed", detail)


def repeated_failure(failure: EncodeFailed) -> EncodeFailed:
    """The same failure seen twice, which trying again does not help."""
    return EncodeFailed("encode_failed", f"The encoder fails on this video: {failure.detail}")
