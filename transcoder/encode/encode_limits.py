"""Limits of one ffmpeg run: memory, processor time and file size, by the size of its source."""

import os

from pipeline.media.confinement import GIB, MIB, Confinement
from pipeline.media.probe import SourceInfo

_BASE_BYTES = 6 * GIB
_THREAD_BYTES = 128 * MIB
_FRAME_BYTES = 6
_FRAMES_HELD = 48

_BASE_CPU_SEC = 600
_CPU_SEC_PER_SEC = 600

_FILE_BASE_BYTES = 64 * MIB
_FILE_BYTES_PER_SEC = 8 * MIB

_OUTPUTS_BASE_BYTES = 256 * MIB
_OUTPUTS_BYTES_PER_SEC = 24 * MIB


def outputs_bound_bytes(info: SourceInfo) -> int:
    """Compute the most bytes that all outputs of an encode may have together.

    The whole ladder of a 2160p source at 60 fps is bounded by 60 Mbit/s, and the fallback adds one
    rendition. This is three times as much.
    """
    return _OUTPUTS_BASE_BYTES + int(_OUTPUTS_BYTES_PER_SEC * info.duration_sec)


def encode_confinement(info: SourceInfo) -> Confinement:
    """Compute generous limits for a run over a source, since a run that meets one is not repeated.

    Memory: x264 reserves 2.4 GB on 2 cores for a whole ladder from 2160p. The limit is more than
    twice that, plus the stacks of each core's threads, plus frames of at most 6 bytes a pixel
    (16 bits, 4:4:4). Frames are the decoder's 16 for reordering, one per thread, and the frames
    queued between decoder, filters and encoders.

    Processor time: a whole ladder from 2160p at 60 fps takes about 15 s for a second of video with
    the preset `veryfast` on a slow core, and up to thirty times that with the slowest preset.

    File: the fallback is the largest file. It has at most twice the 27 Mbit/s that bound the top
    of the ladder.
    """
    threads = os.cpu_count() or 1
    frame_bytes = info.coded_width * info.coded_height * _FRAME_BYTES
    frames_bytes = frame_bytes * (_FRAMES_HELD + 2 * threads)
    return Confinement(
        memory_bytes=_BASE_BYTES + threads * _THREAD_BYTES + frames_bytes,
        cpu_sec=_BASE_CPU_SEC + int(_CPU_SEC_PER_SEC * info.duration_sec),
        file_bytes=_FILE_BASE_BYTES + int(_FILE_BYTES_PER_SEC * info.duration_sec),
        open_files=256,
    )
