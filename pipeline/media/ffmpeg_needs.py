"""Parts of ffmpeg and ffprobe that are used, each of which can be tried on this machine.

An older ffmpeg starts, answers its version, and fails the first HDR video with "Option not found".
A trial runs the part itself, with the options that are used; `tests/unit/transcoder` compares the
list with the commands.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.media.child_process import ChildTimedOut, ChildTooLoud, run_child
from pipeline.media.confinement import GIB, MIB, Confinement, Reach
from pipeline.media.tools import Tools

PICTURE_FILTERS = (
    "bwdif=mode=send_frame:deint=all",
    "fps=fps=25:start_time=0:round=near:eof_action=pass",
    "select='isnan(prev_selected_t)'",
    "crop=32:32",
    "scale=32:32:in_color_matrix=bt709:out_color_matrix=bt709:out_range=tv:flags=area",
    "scale=w='32':h='32':eval=frame",
    "scale=out_primaries=bt709:out_transfer=bt709:intent=perceptual",
    "pad=64:64:-1:-1:eval=frame",
    "format=yuv420p",
    "setsar=1",
    "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709",
    "tpad=stop=1:stop_mode=clone",
    "thumbnail=50",
    "tile=1x1:nb_frames=1",
    "split=1",
)
SOUND_FILTERS = (
    "pan=stereo|c0=c0|c1=c0",
    "aresample=48000:async=1:first_pts=0",
    "aformat=sample_fmts=fltp:channel_layouts=stereo",
    "alimiter=limit=0.891:level=disabled:latency=enabled",
    "loudnorm=I=-16:TP=-1.5:LRA=11",
    "apad=whole_dur=0.1",
    "asplit=1",
)
_X264 = (
    *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-crf", "23"),
    *("-maxrate", "1M", "-bufsize", "2M", "-force_key_frames", "expr:gte(t,n_forced*2)"),
    *("-g", "50", "-sc_threshold", "0", "-flags", "+cgop", "-pix_fmt", "yuv420p"),
)
_HLS = (
    *("-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod"),
    *("-hls_flags", "independent_segments", "-hls_segment_type", "fmp4"),
    *("-hls_fmp4_init_filename", "init.mp4"),
)
DECODERS = (
    *(
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "libdav1d",
        "mpeg4",
        "mpeg2video",
        "mjpeg",
        "prores",
        "flv",
        "theora",
    ),
    *("aac", "mp3", "mp2", "opus", "vorbis", "ac3", "eac3", "flac", "alac", "pcm_s16le"),
)
DEMUXERS = (
    *("mov", "matroska", "mpegts", "avi", "flv", "mpeg", "ogg", "hls"),
    *("jpeg_pipe", "png_pipe"),
)
REMEDY = (
    "Unset FFMPEG and FFPROBE, so that the bundled programs are used, or name programs of at least "
    "FFmpeg 8.1 with libx264 and libdav1d."
)

_TRIAL = Confinement(memory_bytes=2 * GIB, cpu_sec=30, file_bytes=16 * MIB)
_TIMEOUT_SEC = 60
_MOST_BYTES = 1024 * 1024
_PICTURE = (
    "-format_whitelist",
    "lavfi",
    "-f",
    "lavfi",
    "-i",
    "color=size=64x64:rate=25:duration=0.04",
)
_SOUND = ("-f", "lavfi", "-i", "anullsrc=channel_layout=mono:sample_rate=48000:duration=0.1")
_NOWHERE = ("-f", "null", "-")


class NeedsMissing(Exception):
    """ffmpeg or ffprobe lacks a part that is used."""


def require_needs(tools: Tools) -> None:
    """Try every part that is used.

    Raises:
        NeedsMissing: Names the missing parts and the remedy.
        OSError: A program cannot be started.
    """
    if missing := missing_needs(tools):
        raise NeedsMissing(f"{tools.ffmpeg} lacks {'; '.join(missing)}. {REMEDY}")


def missing_needs(tools: Tools) -> list[str]:
    """Try every part that is used; return the names of the missing ones.

    Raises:
        OSError: A program cannot be started.
    """
    return [*_missing_filters(tools), *_missing_codecs(tools), *_missing_outputs(tools)]


def _missing_filters(tools: Tools) -> Iterator[str]:
    kinds = ((PICTURE_FILTERS, _PICTURE, "-vf"), (SOUND_FILTERS, _SOUND, "-af"))
    for filters, source, option in kinds:
        together = ",".join(filters)
        if not _works(tools, (*source, option, together, *_NOWHERE)):
            for each in filters:
                if not _works(tools, (*source, option, each, *_NOWHERE)):
                    yield f"filter {each}"
    timed = ("-fps_mode", "passthrough", "-enc_time_base", "demux")
    looped = (*_PICTURE, *timed, "-c:v", "rawvideo", *_NOWHERE, "-dec", "0:0")
    if not _works(tools, (*looped, "-filter_complex", "[dec:0]null[v]", "-map", "[v]", *_NOWHERE)):
        yield "options -dec (loopback decoders), -fps_mode, -enc_time_base"


def _missing_codecs(tools: Tools) -> Iterator[str]:
    for option, names in (("-decoders", DECODERS), ("-demuxers", DEMUXERS)):
        listed = _listed(tools, option)
        yield from (f"{option[1:-1]} {name}" for name in names if name not in listed)
    encoders = {
        "libx264": (*_PICTURE, *_X264),
        "aac": (*_SOUND, "-c:a", "aac", "-b:a", "64000"),
        "mjpeg": (*_PICTURE, "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"),
    }
    for name, arguments in encoders.items():
        if not _works(tools, (*arguments, *_NOWHERE)):
            yield f"encoder {name}"


def _missing_outputs(tools: Tools) -> Iterator[str]:
    with TemporaryDirectory(prefix="khronika-trial-") as name:
        folder = Path(name)
        segments = ("-hls_segment_filename", str(folder / "seg_%05d.m4s"))
        outputs = {
            "muxer hls": (*_X264, *_HLS, *segments, str(folder / "index.m3u8")),
            "muxer mp4": (
                *_X264,
                "-movflags",
                "+faststart",
                "-f",
                "mp4",
                str(folder / "video.mp4"),
            ),
            "muxer image2": (
                "-frames:v",
                "1",
                "-update",
                "1",
                "-f",
                "image2",
                str(folder / "p.jpg"),
            ),
        }
        for need, arguments in outputs.items():
            if not _works(tools, (*_PICTURE, *arguments), into=folder):
                yield need
    entries = ("-show_entries", "stream=width:packet=pts_time", "-read_intervals", "%+#1")
    if not _run(tools.ffprobe, ("-v", "error", *entries, "-of", "json", *_PICTURE), None):
        yield "ffprobe -read_intervals, -show_entries"


def _works(tools: Tools, arguments: Sequence[str], into: Path | None = None) -> bool:
    quiet = ("-hide_banner", "-nostdin", "-y", "-v", "error", "-stats_period", "0.5")
    return _run(tools.ffmpeg, (*quiet, *arguments), into) is not None


def _listed(tools: Tools, option: str) -> frozenset[str]:
    """Return the names in a list of ffmpeg; a line may have several, with commas."""
    lines = (_run(tools.ffmpeg, ("-hide_banner", option), None) or "").splitlines()
    names = (line.split()[1] for line in lines if len(line.split()) > 1)
    return frozenset(name for each in names for name in each.split(","))


def _run(program: str, arguments: Sequence[str], into: Path | None) -> str | None:
    """Run a program; return its output, or None if it fails."""
    try:
        done = run_child(
            (program, *arguments),
            _TRIAL,
            Reach(writes=into),
            timeout_sec=_TIMEOUT_SEC,
            max_output_bytes=_MOST_BYTES,
        )
    except (ChildTimedOut, ChildTooLoud):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
