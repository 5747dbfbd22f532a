"""Ends of a source's picture and sound, measured from its packets.

The declared duration is not trusted. A file cut off in mid-transfer still declares its whole
duration, decodes without an error and ends early; a file whose sound outlasts its picture is whole.
Reading every packet distinguishes the two. It decodes nothing, so it is cheap beside an encode.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.media.confinement import SCAN, Reach
from pipeline.media.probe import SourceInfo
from pipeline.media.tools import Tools
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.ffmpeg_arguments import local_input
from transcoder.encode.ffmpeg_process import watch_process

_TOLERANCE_SEC = 0.5
_TOLERANCE_SHARE = 0.02

# In the order in which ffprobe prints them: packets as it reads, the rest at the end.
_ENTRIES = (
    "packet=stream_index,pts_time,dts_time,duration_time,flags"
    ":stream=index,codec_type:stream_disposition=attached_pic"
    ":format=start_time"
)
_DISCARDED = "D"  # cut off by an edit list: players do not present it


@dataclass(frozen=True)
class SourceEnds:
    """Ends of a source, in seconds from its first instant.

    Attributes:
        picture_sec: End of the picture's last frame.
        whole_sec: End of the last packet of any picture or sound track.
    """

    picture_sec: float
    whole_sec: float


def read_source_ends(
    source: Path,
    info: SourceInfo,
    tools: Tools,
    *,
    cancelled: Callable[[], bool],
    stall_sec: float,
    clock: Callable[[], float] = time.monotonic,
) -> SourceEnds:
    """Read all packets of a source.

    Args:
        source: A local file.
        info: Result of its probe.
        tools: Path of ffprobe.
        cancelled: Called at every tick, about twice a second; True stops the run.
        stall_sec: Seconds that ffprobe may print nothing; the whole run has no bound.
        clock: Monotonic seconds.

    Raises:
        EncodeCancelled: `cancelled` returned True.
        EncodeFailed: `stalled`.
    """
    command = [tools.ffprobe, "-v", "quiet", *local_input(source, container=info.container)]
    command += ["-show_entries", _ENTRIES, "-of", "csv"]
    tally = _Tally()
    watch_process(
        command,
        SCAN,
        Reach(reads=(source,)),
        tally.feed,
        cancelled=cancelled,
        stall_sec=stall_sec,
        stalled="Reading the source produced nothing new",
        clock=clock,
    )
    return tally.ends()


def refuse_cut_off(info: SourceInfo, ends: SourceEnds) -> None:
    """Refuse a source whose packets end before its declared duration.

    Raises:
        EncodeFailed: `source_corrupt`.
    """
    _refuse_short(ends.whole_sec, info.duration_sec, "is in the file")


def refuse_undecoded(info: SourceInfo, ends: SourceEnds, encoded_sec: float) -> None:
    """Refuse a source with fewer decoded seconds than its packets hold, broken frames included.

    Raises:
        EncodeFailed: `source_corrupt`.
    """
    _refuse_short(encoded_sec, ends.picture_sec + held_sec(info, ends), "could be decoded")


def held_sec(info: SourceInfo, ends: SourceEnds) -> float:
    """Compute the seconds to repeat the last frame until the sound ends; 0 if the sound ends first.

    The result never reaches past the declared end, since the outputs are compared with that.
    """
    return max(0.0, min(ends.whole_sec, info.duration_sec) - ends.picture_sec)


def _refuse_short(found_sec: float, expected_sec: float, what: str) -> None:
    if found_sec < expected_sec - max(_TOLERANCE_SEC, _TOLERANCE_SHARE * expected_sec):
        detail = f"Only {max(0.0, found_sec):.1f} s of {expected_sec:.1f} s {what}."
        raise EncodeFailed("source_corrupt", detail)


class _Tally:
    """Parser of ffprobe's CSV, in chunks cut anywhere, that keeps the end of each stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._start_sec = 0.0
        self._end_sec: dict[str, float] = {}
        self._pictures: list[str] = []
        self._sounds: list[str] = []

    def feed(self, chunk: bytes) -> bool:
        """Take the next chunk; return False for an empty one."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            section, *values = line.decode("ascii", "replace").strip().split(",")
            if section == "packet":
                self._take_packet(*values[:5])
            elif section == "stream":
                self._take_stream(*values[:3])
            elif section == "format":
                self._start_sec = _seconds(values[0]) or 0.0
        return bool(chunk)

    def _take_packet(self, index: str, pts: str, dts: str, duration: str, flags: str) -> None:
        at_sec = _seconds(pts) if _seconds(pts) is not None else _seconds(dts)
        if at_sec is None or _DISCARDED in flags:
            return
        end_sec = at_sec + (_seconds(duration) or 0.0)
        self._end_sec[index] = max(self._end_sec.get(index, end_sec), end_sec)

    def _take_stream(self, index: str, kind: str, is_cover: str) -> None:
        if kind == "video" and is_cover == "0":
            self._pictures.append(index)
        elif kind == "audio":
            self._sounds.append(index)

    def ends(self) -> SourceEnds:
        """Return the ends of all that was read; the first picture is the one that is encoded."""
        return SourceEnds(
            self._latest(self._pictures[:1]), self._latest([*self._pictures, *self._sounds])
        )

    def _latest(self, indexes: Sequence[str]) -> float:
        ends_sec = [self._end_sec[index] for index in indexes if index in self._end_sec]
        return max(ends_sec, default=self._start_sec) - self._start_sec


def _seconds(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:  # N/A
        return None
