"""Was the whole source decoded? A file cut off in mid-transfer decodes without an error."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.media.child import ChildTimedOut, ChildTooLoud, run_child
from pipeline.media.probe import SourceInfo
from pipeline.media.tools import Tools
from transcoder.encode.command import local_input
from transcoder.encode.errors import EncodeFailed

_TOLERANCE_SEC = 0.5
_TOLERANCE_SHARE = 0.02
_TIMEOUT_SEC = 60
_OUTPUT_BYTES = 64 * 1024 * 1024


def refuse_incomplete(source: Path, info: SourceInfo, decoded_sec: float, tools: Tools) -> None:
    """Compare what was decoded with what the source declares.

    A picture that ends early is no damage where the sound goes on: the packets at the declared
    end tell the two apart, and are looked at only when the lengths disagree.

    Raises:
        EncodeFailed: `source_corrupt`.
    """
    tolerance_sec = max(_TOLERANCE_SEC, _TOLERANCE_SHARE * info.duration_sec)
    if decoded_sec >= info.duration_sec - tolerance_sec:
        return
    picture_sec, all_sec = _last_packets(source, info, tools)
    if all_sec < info.duration_sec - tolerance_sec or picture_sec > decoded_sec + tolerance_sec:
        detail = f"Only {decoded_sec:.1f} s of {info.duration_sec:.1f} s could be decoded."
        raise EncodeFailed("source_corrupt", detail)


def _last_packets(source: Path, info: SourceInfo, tools: Tools) -> tuple[float, float]:
    """Seconds from the start to the last packet of the picture, and of anything."""
    starts_sec, picture_sec, all_sec = [], 0.0, 0.0
    for kind, at_sec in _packets(source, info, tools):
        starts_sec.append(at_sec)
        all_sec = max(all_sec, at_sec)
        if kind == "video":
            picture_sec = max(picture_sec, at_sec)
    origin_sec = min(starts_sec, default=0.0)
    return picture_sec - origin_sec, all_sec - origin_sec


def _packets(source: Path, info: SourceInfo, tools: Tools) -> Iterator[tuple[str, float]]:
    command = [tools.ffprobe, "-v", "quiet", "-show_entries", "packet=codec_type,pts_time"]
    command += ["-of", "csv=p=0", *local_input(source, container=info.container)]
    try:
        done = run_child(command, timeout_sec=_TIMEOUT_SEC, max_output_bytes=_OUTPUT_BYTES)
    except (ChildTimedOut, ChildTooLoud) as error:
        raise EncodeFailed("source_corrupt", "The file could not be read to its end.") from error
    for line in done.stdout.decode("ascii", "replace").splitlines():
        kind, _, at_sec = line.partition(",")
        if at_sec.rstrip(",") not in ("", "N/A"):
            yield kind, float(at_sec.rstrip(","))
