"""Measurement of a source by its packets: its length, its frame rate, the ends of its tracks.

A container's declarations are not trusted. A file cut off in mid-transfer still declares its whole
duration, decodes without an error and ends early; a file whose sound outlasts its picture is whole.
Reading every packet distinguishes the two. It decodes nothing, so it is cheap beside an encode.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pipeline.media.confinement import SCAN, Reach
from pipeline.media.probe import SourceInfo
from pipeline.media.tools import Tools
from pipeline.media.wholeness import is_whole
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.ffmpeg_arguments import local_input
from transcoder.encode.ffmpeg_process import watch_process
from transcoder.encode.frame_rates import STANDARD_RATES
from transcoder.encode.frame_spacing import UNKNOWN_SPACING, FrameSpacing, frame_spacing
from transcoder.encode.joined_parts import CONTAINERS, moving_filter
from transcoder.encode.packet_tally import CONTAINERS_WITH_JUMPS, ENTRIES, PacketTally, Track

_TOLERANCE_SEC = 0.5
_TOLERANCE_SHARE = 0.02
_SAME_RATE = 0.0005
_ROUNDED_SEC = 0.002
"""Error of the time between two frames whose instants are whole milliseconds."""
_LONGEST_SEC = 24 * 3600
"""Longest length that packets may claim beyond the declared one; a later instant is garbage."""


@dataclass(frozen=True)
class SourceEnds:
    """Measurements of a source's packets; instants are in seconds from its first one.

    Attributes:
        picture_sec: End of the picture's last frame.
        played_sec: End of the picture or of the sound that is played, the later of the two.
        whole_sec: End of the last packet of any track.
        pictures: Number of the picture's packets.
        keys_sec: Instants of those that are key frames, in the order of the file.
        spacing: Spacing of the picture's frames.
        jumps: Number of jumps of the clocks of the picture and the sound.
        moves: Filters of the input that move joined recordings behind each other: of the picture,
            and of the sound if it is played. Empty if there is one recording.
        overtaken: Number of the picture's packets behind a clock that goes backward: ffmpeg closes
            no such jump in this container, and drops the frames.
        is_whole: False for a file that lacks its end, None if its container does not say.
    """

    picture_sec: float
    played_sec: float
    whole_sec: float
    pictures: int
    keys_sec: Sequence[float]
    spacing: FrameSpacing
    jumps: int
    overtaken: int
    is_whole: bool | None
    moves: tuple[str, ...] = ()


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
    command += ["-show_entries", ENTRIES, "-of", "csv"]
    tally = PacketTally(closes_jumps=info.container in CONTAINERS_WITH_JUMPS)
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
    return _ends(tally, info, whole=is_whole(source, info.container))


def _ends(tally: PacketTally, info: SourceInfo, *, whole: bool | None) -> SourceEnds:
    picture = tally.picture
    sounds = tally.sounds[info.audio_index :][:1] if info.audio_codec is not None else []
    played = [picture, *sounds]
    offsets = tally.join(played) if info.container in CONTAINERS else None
    # Fields of interlaced video may be packets of their own, at twice the rate of the frames.
    spacing = UNKNOWN_SPACING if info.interlaced else frame_spacing(picture.spaced_sec)
    return SourceEnds(
        picture_sec=tally.end_of([picture]),
        played_sec=tally.end_of(played),
        whole_sec=tally.end_of(tally.everything),
        pictures=len(picture.starts_sec),
        keys_sec=[at_sec - tally.start_sec for at_sec in picture.keys_sec],
        spacing=spacing,
        jumps=sum(track.jumps for track in played) + (len(offsets) - 1 if offsets else 0),
        overtaken=picture.overtaken,
        is_whole=whole and _has_all_indexed(picture, info),
        moves=tuple(moving_filter(track.parts, offsets) for track in played) if offsets else (),
    )


def _has_all_indexed(picture: Track, info: SourceInfo) -> bool | None:
    """Return None if the index names far more frames than the file holds."""
    found = len(picture.starts_sec) + picture.discarded
    return True if found >= (1 - _TOLERANCE_SHARE) * info.indexed_frames else None


def measured_info(info: SourceInfo, ends: SourceEnds) -> SourceInfo:
    """Return the facts of a source with the measured length and rate for the declared ones."""
    is_sane = 0 < ends.played_sec <= max(_LONGEST_SEC, info.duration_sec)
    length_sec = ends.played_sec if is_sane else info.duration_sec
    return replace(
        info,
        duration_sec=round(length_sec, 6),
        frame_rate=_rate(info, ends.spacing),
        variable_frame_rate=info.variable_frame_rate
        if ends.spacing.mean_rate is None
        else not ends.spacing.even,
    )


def _rate(info: SourceInfo, spacing: FrameSpacing) -> str:
    """Return the declared rate, which is exact, unless evenly spaced frames contradict it."""
    if spacing.mean_rate is None or not spacing.even:
        return info.frame_rate
    near = max(_SAME_RATE, _ROUNDED_SEC / spacing.span_sec)
    for rate in (Fraction(info.frame_rate), *STANDARD_RATES):
        if abs(float(rate) / spacing.mean_rate - 1) <= near:
            return f"{rate.numerator}/{rate.denominator}"
    measured = Fraction(spacing.mean_rate).limit_denominator(1001)
    return f"{measured.numerator}/{measured.denominator}"


def refuse_cut_off(info: SourceInfo, ends: SourceEnds) -> None:
    """Refuse a source that lacks its end.

    If the container does not say how many bytes it has, a source whose packets end before its
    declared duration counts as cut off. A whole file with a false duration does not.

    Raises:
        EncodeFailed: `source_corrupt`.
    """
    if ends.is_whole is not True and info.container not in CONTAINERS_WITH_JUMPS:
        _refuse_short(ends.whole_sec, info.duration_sec, "is in the file")


def refuse_undecoded(ends: SourceEnds, encoded_sec: float) -> None:
    """Refuse a source with fewer decoded seconds than its packets hold, broken frames included.

    Raises:
        EncodeFailed: `source_corrupt`.
    """
    _refuse_short(encoded_sec, ends.picture_sec + held_sec(ends), "could be decoded")


def held_sec(ends: SourceEnds) -> float:
    """Return the seconds to repeat the last frame until the sound ends; 0 if it ends first."""
    return max(0.0, ends.played_sec - ends.picture_sec)


def differs(one_sec: float, other_sec: float) -> bool:
    """Return True for two lengths that are not one length and its rounding."""
    longer = max(one_sec, other_sec)
    return abs(one_sec - other_sec) > max(_TOLERANCE_SEC, _TOLERANCE_SHARE * longer)


def _refuse_short(found_sec: float, expected_sec: float, what: str) -> None:
    if found_sec < expected_sec and differs(found_sec, expected_sec):
        detail = f"Only {max(0.0, found_sec):.1f} s of {expected_sec:.1f} s {what}."
        raise EncodeFailed("source_corrupt", detail)
