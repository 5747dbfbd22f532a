"""Arguments of the ffmpeg run that encodes all renditions in one process with one decode.

`ffmpeg_process.py` runs them.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from pipeline.media.probe import SourceInfo
from transcoder.encode.ffmpeg_arguments import PLAYLIST, ffmpeg_prefix, local_input
from transcoder.encode.filters import filter_graph, fit_graph
from transcoder.encode.ladder import Rung

GOP_SEC = 2  # Apple's HLS authoring rule 1.13: an IDR every 2 s
SEGMENT_SEC = 6  # rules 7.5 and 7.6: segments and target duration of 6 s

INIT_SEGMENT = "init.mp4"

MAX_FRAME_PIXELS = 8192 * 4352
"""8K, in whole blocks of 64 as HEVC stores it. Each larger frame of a stream fails to decode."""

_LONGEST_SHARE = 1.05
_LONGEST_SPARE_SEC = 2.0
"""Bounds of an output beyond the declared duration. One longer by 2 % and 0.5 s is rejected."""

_CRF = 23  # x264's default quality; the profile's ceiling bounds the bitrate
_HIGH_RATE = 30
_HIGH_RATE_FACTOR = 1.5  # twice the frames need about one and a half times the bitrate


def encode_command(
    source: Path,
    info: SourceInfo,
    rungs: Sequence[Rung],
    rate: Fraction,
    *,
    ffmpeg: str,
    preset: str,
    held_sec: float,
    into: Path,
    fitted: bool = False,
    pixel_shapes: Sequence[tuple[float, Fraction]] = (),
    loudness_lufs: float | None = None,
    moves: Sequence[str] = (),
) -> list[str]:
    """Build the command that encodes `source` into `into`/{profile}/.

    Args:
        source: A local file.
        info: Result of its probe.
        rungs: The renditions, largest first.
        rate: Their constant frame rate.
        ffmpeg: Path of the program.
        preset: x264 preset.
        held_sec: Seconds to repeat the last frame, for sound that goes on.
        into: Folder that holds one existing folder per profile.
        fitted: True for a picture that may change its size in mid-stream.
        pixel_shapes: Begin and sample aspect ratio of each stretch, if the pixels change theirs.
        loudness_lufs: Loudness to normalise the sound to; None leaves it.
        moves: Filters of the packets of picture and sound, for joined recordings.
    """
    # Without it, a timestamp far ahead would be filled with copies of the last frame.
    longest = ("-t", f"{_LONGEST_SHARE * info.duration_sec + _LONGEST_SPARE_SEC:.3f}")
    command = [*ffmpeg_prefix(ffmpeg), "-stats_period", "0.5"]
    command += ["-max_pixels", str(MAX_FRAME_PIXELS)]
    for track, move in zip(("V:0", f"a:{info.audio_index}"), moves, strict=False):
        command += [f"-bsf:{track}", move]
    command += local_input(source, container=info.container)
    if fitted:
        command += [
            *_fitting_output(info, rungs[0], pixel_shapes),
            *longest,
            "-f",
            "null",
            "-",
            "-dec",
            "0:0",
        ]
    graph = filter_graph(info, rungs, rate, held_sec, fitted=fitted, loudness_lufs=loudness_lufs)
    command += ["-filter_complex", graph]
    for index, rung in enumerate(rungs):
        command += ["-map", f"[v{index}]", *_video_options(rung, rate, preset)]
        if info.audio_codec is not None:
            command += ["-map", f"[a{index}]", "-c:a", "aac", "-b:a", str(rung.profile.audio_bps)]
        command += longest
        command += _output_options(into / rung.name)
    return command


def _fitting_output(
    info: SourceInfo, top: Rung, pixel_shapes: Sequence[tuple[float, Fraction]]
) -> list[str]:
    """Make the fitted picture an output, whose packets of raw frames ffmpeg decodes in memory."""
    return [
        *("-map", "0:V:0", "-vf", fit_graph(info, top, pixel_shapes)),
        # Every frame with its own time: the graph behind it makes the rate even.
        *("-fps_mode", "passthrough", "-enc_time_base", "demux"),
        *("-c:v", "rawvideo", "-pix_fmt", "yuv420p"),
    ]


def _video_options(rung: Rung, rate: Fraction, preset: str) -> list[str]:
    ceiling = rung.profile.video_bps
    if rate > _HIGH_RATE:
        ceiling = int(ceiling * _HIGH_RATE_FACTOR)
    return [
        *("-c:v", "libx264", "-preset", preset, "-profile:v", "high"),
        *("-crf", str(_CRF), "-maxrate", str(ceiling), "-bufsize", str(2 * ceiling)),
        # Key frames only at every even second, so that the segments of all renditions begin at
        # the same instants; -g keeps x264 from adding key frames of its own.
        *("-force_key_frames", f"expr:gte(t,n_forced*{GOP_SEC})"),
        *("-g", str(math.ceil(GOP_SEC * rate)), "-sc_threshold", "0", "-flags", "+cgop"),
        *("-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-colorspace", "bt709", "-color_range", "tv"),
    ]


def _output_options(folder: Path) -> list[str]:
    return [
        # The source's metadata (place, device, chapters) may be personal and is not published.
        *("-map_metadata", "-1", "-map_chapters", "-1"),
        # By default the muxer shifts all timestamps by the reordering delay and writes a second
        # edit-list entry, which browsers ignore: the picture would come 80 ms late at 25 fps.
        *("-avoid_negative_ts", "disabled"),
        *("-f", "hls", "-hls_time", str(SEGMENT_SEC), "-hls_playlist_type", "vod"),
        *("-hls_flags", "independent_segments", "-hls_segment_type", "fmp4"),
        *("-hls_fmp4_init_filename", INIT_SEGMENT),
        *("-hls_segment_filename", str(folder / "seg_%05d.m4s")),
        str(folder / PLAYLIST),
    ]
