"""What an encode may take of this machine, by what its source says it is."""

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


def encode_confinement(info: SourceInfo) -> Confinement:
    """Bound one run of ffmpeg over a source: generously, for what a limit ends is not tried again.

    Memory: x264 for a whole ladder from 2160p reserves 2.4 GB on 2 cores; more than twice that,
    and for each core its threads' stacks. On top the decoder's frames, 16 of reordering, one per
    thread, and those queued between decoder, filters and encoders, each at most 6 bytes a pixel
    (16 bits, 4:4:4).

    Processor time: a whole ladder from 2160p at 60 fps takes some 15 s a second of video with the
    preset `veryfast` on a slow core, and up to thirty times that with the slowest.

    File: nothing is written in one piece but the fallback, which has at most twice the 27 Mbit/s
    that the top of the ladder is held to.
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
