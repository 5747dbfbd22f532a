"""Measurement of a local media file with ffprobe."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.media.boxes import walk_file
from pipeline.media.child_process import ChildTimedOut, ChildTooLoud, run_child
from pipeline.media.confined import NO_PROGRAM
from pipeline.media.confinement import PROBE, Reach
from pipeline.media.containers import HEAD_BYTES, Container, container_of
from pipeline.media.probe_report import finite_number, played_streams, source_info
from pipeline.media.source_info import SourceInfo
from pipeline.media.source_limits import MediaRefused, Refusal
from pipeline.media.tools import Tools

__all__ = ["SourceInfo", "probe"]

# Only the fields that `probe_report.source_info` reads, so that a file's tags cannot flood us.
_STREAM_FIELDS = (
    *("index", "codec_type", "codec_name", "profile", "width", "height"),
    *("pix_fmt", "sample_aspect_ratio", "bits_per_raw_sample", "field_order", "channels"),
    *("channel_layout", "sample_fmt"),
    *("color_transfer", "color_primaries", "color_space"),
    *("avg_frame_rate", "r_frame_rate", "nb_frames", "start_time", "duration"),
)
_ENTRIES = (
    "format=duration,start_time,bit_rate"
    f":stream={','.join(_STREAM_FIELDS)}"
    ":stream_disposition=attached_pic,default"
    ":stream_tags=DURATION,alpha_mode"
    ":stream_side_data=rotation,crop_top,crop_bottom,crop_left,crop_right"
    ":packet=stream_index,pts_time"
    ":packet_side_data=side_data_type"
)
_MAX_REPORT_BYTES = 4 * 1024 * 1024
_MAX_TIMESTAMPS_BYTES = 64 * 1024 * 1024  # 4 h at 60 fps, with sound, are 40 MB
_MAX_BOXES = 100_000  # a fragmented file of 12 h in 2 s fragments has 43 000

# Packets read to detect an even frame rate: many if an index gives the timestamps. Otherwise few,
# because the file may be a sample (see sample.py) with a hole after its first megabytes.
_PACKETS_INDEXED = 900
_PACKETS_SCANNED = 120


def probe(path: Path, tools: Tools, *, timeout_sec: float = 30) -> SourceInfo:
    """Measure a file by its content; its name and extension do not matter.

    ffprobe opens only this local file, with the one demuxer that fits its first bytes: no network,
    no playlist, no second file.

    Args:
        path: a regular local file.
        tools: paths of the programs.
        timeout_sec: longest wall time of one run of ffprobe; a second run is needed only for a
            file that does not store its length.

    Raises:
        MediaRefused: `source_empty`, `unsupported_media`, `no_video_stream`, `undecodable`,
            `source_encrypted`, `source_corrupt`, or `source_unmeasurable` if ffprobe crashes or
            exceeds a bound.
        OSError: the file cannot be read, or ffprobe cannot be started.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        container = container_of(file.read(HEAD_BYTES))
    if container.has_boxes:
        _refuse_cut_off(path)
    report = _report(path, container, tools, timeout_sec)
    info = source_info(report, container=container.name, size_bytes=size_bytes)
    if info.duration_sec <= 0:
        # Browsers' MediaRecorder writes WebM as a stream and never adds the duration.
        measured = _counted_duration_sec(path, container, tools, timeout_sec, report)
        info = replace(info, duration_sec=measured)
    if info.duration_sec <= 0:
        raise MediaRefused(Refusal.SOURCE_CORRUPT, "The video has no frames that can be timed.")
    whole_bps = round(size_bytes * 8 / info.duration_sec)
    return replace(info, bit_rate_bps=info.bit_rate_bps or whole_bps)


def _refuse_cut_off(path: Path) -> None:
    """Refuse a cut file by its boxes; ffprobe reports the full duration of a partial file."""
    boxes = walk_file(path, max_boxes=_MAX_BOXES)
    if not any(box.type == "moov" for box in boxes):
        raise MediaRefused(Refusal.SOURCE_CORRUPT, "The file has no index: it was cut off.")


def _report(path: Path, container: Container, tools: Tools, timeout_sec: float) -> dict[str, Any]:
    packets = _PACKETS_INDEXED if container.has_boxes else _PACKETS_SCANNED
    options = ("-show_entries", _ENTRIES, "-read_intervals", f"%+#{packets}", "-of", "json")
    run = partial(_ffprobe, path, container, tools, timeout_sec)
    printed = run(options, max_output_bytes=_MAX_REPORT_BYTES)
    report: dict[str, Any] = json.loads(printed)
    return report


def _counted_duration_sec(
    path: Path,
    container: Container,
    tools: Tools,
    timeout_sec: float,
    report: Mapping[str, Any],
) -> float:
    """Measure from the file's first instant to the end of its last audio or video packet."""
    options = ("-show_entries", "packet=stream_index,pts_time,duration_time", "-of", "csv=p=0")
    run = partial(_ffprobe, path, container, tools, timeout_sec)
    printed = run(options, max_output_bytes=_MAX_TIMESTAMPS_BYTES)
    played = played_streams(report)
    ends = [
        finite_number(at) + finite_number(length)
        for index, at, length, *_ in _cells(printed)
        if index in played and at != "N/A"
    ]
    return max(ends, default=0.0) - finite_number(report.get("format", {}).get("start_time"))


def _cells(printed: bytes) -> Iterator[list[str]]:
    for line in printed.decode("ascii", "replace").splitlines():
        yield line.split(",")


def _ffprobe(
    path: Path,
    container: Container,
    tools: Tools,
    timeout_sec: float,
    options: tuple[str, ...],
    *,
    max_output_bytes: int,
) -> bytes:
    argv = (
        *(tools.ffprobe, "-v", "error"),
        *("-protocol_whitelist", "file", "-format_whitelist", container.demuxer),
        *("-f", container.demuxer),
        *options,
        # A URL, because ffprobe would take a file named `concat:…` for a protocol.
        *("-i", f"file:{path.absolute()}"),
    )
    try:
        done = run_child(
            argv,
            PROBE,
            Reach(reads=(path,)),
            timeout_sec=timeout_sec,
            max_output_bytes=max_output_bytes,
        )
    except (ChildTimedOut, ChildTooLoud) as error:
        raise _unmeasurable() from error
    if done.returncode in NO_PROGRAM:
        raise OSError(f"ffprobe cannot be started: {done.stderr[:200].decode(errors='replace')}")
    if done.returncode < 0 or b"Cannot allocate memory" in done.stderr:
        raise _unmeasurable()
    if done.returncode != 0:
        raise MediaRefused(Refusal.SOURCE_CORRUPT, "The file is damaged: it cannot be opened.")
    return done.stdout


def _unmeasurable() -> MediaRefused:
    detail = "The file could not be measured within bounds."
    return MediaRefused(Refusal.SOURCE_UNMEASURABLE, detail)
