"""Tally of a source's packets: the first and last instants of each track, and its picture's frames.

ffprobe reads the packets and decodes nothing. Some containers may hold recordings that were joined,
so that the clock jumps. ffmpeg closes such a jump when it decodes, and so does the tally.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from transcoder.encode.joined_parts import RecordedPart, offsets_of

# In the order in which ffprobe prints them: packets as it reads, the rest at the end.
ENTRIES = (
    "packet=stream_index,pts_time,dts_time,duration_time,flags"
    ":stream=index,codec_type:stream_disposition=attached_pic"
    ":format=start_time"
)
CONTAINERS_WITH_JUMPS = frozenset({"mpegts", "mpeg", "ogg"})
"""Containers whose jumps ffmpeg closes: its demuxers have the flag `AVFMT_TS_DISCONT`."""

_DISCARDED = "D"  # cut off by an edit list: players do not present it
_KEY = "K"
_JUMP_SEC = 10.0  # ffmpeg's default of `-dts_delta_threshold`
_BACKWARD_SEC = 0.1  # ffmpeg's tolerance of a clock that goes backward
_RESTART_SEC = 1.0  # a shorter jump backward is a disorder, and no other recording
_MOST_PARTS = 100
_MAX_FRAMES = 16_000_000
"""Frames whose instants are kept; the instants of further ones do not count."""


@dataclass
class Track:
    """Packets of one stream, on a clock without jumps.

    Attributes:
        end_sec: End of the last packet; None if no packet has a time.
        starts_sec: Instants of its packets, in no order.
        decoded_sec: Decoding times of those packets, in the order of the file.
        undated: Number of packets without an instant of their own: a pack of MPEG dates one frame.
        keys_sec: Instants of its key frames, in the order of the file.
        discarded: Number of packets that an edit list cuts off.
        jumps: Number of closed jumps of the clock.
        overtaken: Number of packets before an earlier one by an unclosed jump.
        parts: Its packets between unclosed jumps backward.
    """

    end_sec: float | None = None
    starts_sec: "array[float]" = field(default_factory=lambda: array("d"))
    decoded_sec: "array[float]" = field(default_factory=lambda: array("d"))
    undated: int = 0
    keys_sec: "array[float]" = field(default_factory=lambda: array("d"))
    discarded: int = 0
    jumps: int = 0
    overtaken: int = 0
    parts: list[RecordedPart] = field(default_factory=list)
    _count: int = 0
    _decoded_sec: float | None = None
    _offset_sec: float = 0.0
    _last_sec: float | None = None
    _next_sec: float | None = None

    @property
    def spaced_sec(self) -> Sequence[float]:
        """The times that tell the spacing: of decoding, if not every packet has an instant."""
        return self.decoded_sec if self.undated else self.starts_sec

    def take(self, at_sec: float, decode_sec: float, length_sec: float) -> float:
        """Take a packet with its times as stored; return its instant on the even clock."""
        self._close_jump(decode_sec)
        decode_sec += self._offset_sec
        self._last_sec, self._next_sec = decode_sec, decode_sec + length_sec
        return at_sec + self._offset_sec

    def count(self) -> None:
        """Count a packet, with times or without."""
        self._count += 1

    def watch(self, at_sec: float, decode_sec: float, length_sec: float) -> None:
        """Note the times of a packet whose jumps stay open."""
        jumps = self._decoded_sec is None or decode_sec + _RESTART_SEC < self._decoded_sec
        self._decoded_sec = decode_sec
        if not jumps:
            self.parts[-1].take(at_sec, length_sec)
        elif len(self.parts) < _MOST_PARTS:
            self.parts.append(RecordedPart(self._count - 1, at_sec, at_sec + length_sec))
        if self._last_sec is not None and decode_sec + _BACKWARD_SEC < self._last_sec:
            self.overtaken += 1
        self._last_sec = max(decode_sec, self._last_sec or decode_sec)

    def move(self, offsets: Sequence[float]) -> None:
        """Move each part by its offset; the key frames keep their times in the file."""
        for part, after, offset in zip(self.parts, [*self.parts[1:], None], offsets, strict=True):
            end = after.first if after else len(self.starts_sec)
            for number in range(part.first, min(end, len(self.starts_sec))):
                self.starts_sec[number] += offset
                self.decoded_sec[number] += offset
        self.end_sec = self.parts[-1].end_sec + offsets[-1]
        self.overtaken = 0

    def _close_jump(self, decode_sec: float) -> None:
        if self._next_sec is None or self._last_sec is None:
            return
        delta = decode_sec + self._offset_sec - self._next_sec
        backward = decode_sec + self._offset_sec + _BACKWARD_SEC < self._last_sec
        if abs(delta) > _JUMP_SEC or backward:
            self._offset_sec -= delta
            self.jumps += 1


class PacketTally:
    """Parser of ffprobe's CSV, in chunks cut anywhere."""

    def __init__(self, *, closes_jumps: bool) -> None:
        """Begin; without `closes_jumps` every time counts as it is stored."""
        self._closes_jumps = closes_jumps
        self._rest = b""
        self._tracks: dict[str, Track] = {}
        self.start_sec = 0.0
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
                self.start_sec = _seconds(values[0]) or 0.0
        return bool(chunk)

    def _take_packet(self, index: str, pts: str, dts: str, duration: str, flags: str) -> None:
        shown, decoded = _seconds(pts), _seconds(dts)
        at_sec = shown if shown is not None else decoded
        track = self._tracks.setdefault(index, Track())
        track.count()
        if at_sec is None:
            return
        if _DISCARDED in flags:
            track.discarded += 1
            return
        length_sec = _seconds(duration) or 0.0
        decode_sec = at_sec if decoded is None else decoded
        delay_sec = at_sec - decode_sec
        track.undated += shown is None
        if self._closes_jumps:
            at_sec = track.take(at_sec, decode_sec, length_sec)
        elif decoded is not None:
            track.watch(at_sec, decode_sec, length_sec)
        end_sec = at_sec + length_sec
        track.end_sec = end_sec if track.end_sec is None else max(track.end_sec, end_sec)
        if len(track.starts_sec) < _MAX_FRAMES:
            track.starts_sec.append(at_sec)
            track.decoded_sec.append(at_sec - delay_sec)
            if _KEY in flags:
                track.keys_sec.append(at_sec)

    def _take_stream(self, index: str, kind: str, is_cover: str) -> None:
        if kind == "video" and is_cover == "0":
            self._pictures.append(index)
        elif kind == "audio":
            self._sounds.append(index)

    @property
    def picture(self) -> Track:
        """The picture that is encoded: the first one that is no cover."""
        return self._first(self._pictures)

    @property
    def sounds(self) -> list[Track]:
        """The sound tracks, in the order of the file."""
        return [self._tracks.get(index, Track()) for index in self._sounds]

    def join(self, played: Sequence[Track]) -> list[float] | None:
        """Move the parts of these tracks behind each other; return by how much, None for one."""
        offsets = offsets_of([track.parts for track in played])
        if offsets is None or not 1 < len(offsets) < _MOST_PARTS:
            return None
        for track in played:
            track.move(offsets)
        return offsets

    @property
    def everything(self) -> Iterable[Track]:
        """The tracks of every kind that have packets."""
        return self._tracks.values()

    def _first(self, indexes: list[str]) -> Track:
        return self._tracks.get(indexes[0], Track()) if indexes else Track()

    def end_of(self, tracks: Iterable[Track]) -> float:
        """Return the latest end of tracks, in seconds from the first instant of the source."""
        ends = [track.end_sec for track in tracks if track.end_sec is not None]
        return max(ends, default=self.start_sec) - self.start_sec


def _seconds(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:  # N/A
        return None
