"""Translation of ffprobe's report, which is not trusted, to a `SourceInfo`."""

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

from pipeline.media.source_info import SourceInfo
from pipeline.media.source_limits import MediaRefused, Refusal
from pipeline.media.track_choice import choose_sound, count_tracks, has_disposition

_ENCRYPTED = "Encryption info"  # ffprobe's name for the side data of an encrypted packet
_INTERLACED_ORDERS = ("tt", "bb", "tb", "bt")
_CLOCK = re.compile(r"(\d{1,3}):(\d{2}):(\d{2}(?:\.\d{1,9})?)")
_CROPS = ("top", "bottom", "left", "right")
_DEPTH_IN_NAME = re.compile(r"(?:p|gray|gbrap?)0?(\d{2})(?:le|be)$")
_RATIO = re.compile(r"[0-9]{1,10}(?:[/.][0-9]{1,10})?")
_JITTER_SEC = 0.002  # Matroska and FLV count in milliseconds: 41, 42, 42 is a constant 24 fps
_JITTER_SHARE = 0.1
_AVERAGE_DRIFT = 0.05  # difference of the whole file's average from its first seconds
_FASTEST_RATE = 1000  # ffmpeg reports the clock itself (90000/1) if it finds no rate
_LEAST_STEP_SEC, _MOST_STEP_SEC = 1e-9, 1000.0  # steps whose rate is finite and above 0
_FALLBACK_RATE = Fraction(25)  # for a single frame, which has no rate


def source_info(report: Mapping[str, Any], *, container: str, size_bytes: int) -> SourceInfo:
    """Translate ffprobe's JSON of format, streams and first packets.

    `duration_sec` is 0 if the container does not store it.

    Raises:
        MediaRefused: `no_video_stream`, `source_encrypted`, `undecodable` for a codec that this
            build does not know or a picture without a size, `source_corrupt` for a stream without
            a picture.
    """
    streams = _mappings(report.get("streams"))
    layout = _mapping(report.get("format"))
    video = _video_stream(streams)
    sound = choose_sound(streams)
    audio = sound.stream if sound else None
    packets = _mappings(report.get("packets"))
    coded_width, coded_height = _picture_size(video, packets)
    aspect = _aspect(video)
    rotation = _rotation(video)
    cropped_width, cropped_height = _crop(video, coded_width, coded_height)
    width, height = _display_size(
        coded_width - cropped_width, coded_height - cropped_height, aspect, rotation
    )
    duration_sec = _duration_sec(layout, streams, played=[video, *([audio] if audio else [])])
    _refuse_encrypted(packets, video.get("index"))
    intervals = _intervals(packets, video.get("index"))
    average = _average_rate(video, intervals)
    variable = _is_variable(intervals, average)
    rate = average if variable else _even_rate(video, intervals) or average
    start_sec = finite_number(layout.get("start_time"))
    pixel_format = _pixel_format(video)
    return SourceInfo(
        container=container,
        size_bytes=size_bytes,
        duration_sec=duration_sec,
        stream_count=len(streams),
        width=width,
        height=height,
        coded_width=coded_width,
        cropped_width=cropped_width,
        cropped_height=cropped_height,
        coded_height=coded_height,
        rotation=rotation,
        sample_aspect_ratio=f"{aspect.numerator}:{aspect.denominator}",
        frame_rate=f"{rate.numerator}/{rate.denominator}",
        variable_frame_rate=variable,
        interlaced=video.get("field_order") in _INTERLACED_ORDERS,
        video_codec=str(video["codec_name"]),
        video_profile=_word(video.get("profile")),
        pixel_format=pixel_format,
        bit_depth=_bit_depth(video, pixel_format),
        color_transfer=_word(video.get("color_transfer")),
        color_primaries=_word(video.get("color_primaries")),
        color_space=_word(video.get("color_space")),
        audio_codec=_word(audio.get("codec_name")) if audio else None,
        audio_channels=int(finite_number(audio.get("channels"))) if audio else None,
        audio_start_sec=_start_sec(audio, start_sec) if audio else 0.0,
        video_start_sec=_start_sec(video, start_sec),
        bit_rate_bps=int(finite_number(layout.get("bit_rate"))),
        indexed_frames=max(0, int(finite_number(video.get("nb_frames")))),
        audio_index=sound.index if sound else 0,
        audio_layout=_word(audio.get("channel_layout")) if audio else None,
        sound_tracks=count_tracks(streams, "audio"),
        picture_tracks=count_tracks(streams, "video"),
        subtitle_tracks=count_tracks(streams, "subtitle"),
    )


def played_streams(report: Mapping[str, Any]) -> frozenset[str]:
    """Return the indexes of the video and audio streams, cover art excluded."""
    return frozenset(
        str(stream.get("index"))
        for stream in _mappings(report.get("streams"))
        if stream.get("codec_type") in ("video", "audio")
        and not has_disposition(stream, "attached_pic")
    )


def _video_stream(streams: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    pictures = [s for s in streams if s.get("codec_type") == "video"]
    moving = [s for s in pictures if not has_disposition(s, "attached_pic")]
    if not moving:
        raise MediaRefused(Refusal.NO_VIDEO_STREAM, "The file has no video stream.")
    if moving[0].get("codec_name") in (None, "unknown", "none"):
        raise MediaRefused(Refusal.UNDECODABLE, "The video's codec is not one we can decode.")
    return moving[0]


def _refuse_encrypted(packets: Sequence[Mapping[str, Any]], index: object) -> None:
    for packet in packets:
        kinds = [data.get("side_data_type") for data in _mappings(packet.get("side_data_list"))]
        if packet.get("stream_index") == index and _ENCRYPTED in kinds:
            raise MediaRefused(Refusal.SOURCE_ENCRYPTED, "The video is encrypted.")


def _picture_size(
    video: Mapping[str, Any], packets: Sequence[Mapping[str, Any]]
) -> tuple[int, int]:
    width, height = int(finite_number(video.get("width"))), int(finite_number(video.get("height")))
    if width <= 0 or height <= 0:
        if any(packet.get("stream_index") == video.get("index") for packet in packets):
            raise MediaRefused(Refusal.UNDECODABLE, "The size of the picture cannot be read.")
        raise MediaRefused(Refusal.SOURCE_CORRUPT, "The video stream has no picture.")
    return width, height


def _crop(video: Mapping[str, Any], width: int, height: int) -> tuple[int, int]:
    """Return the pixels of width and height that the container cuts off; none if it cuts off all.

    Matroska has PixelCrop, MP4 the box `clap`. The cropping of a codec is done by its decoder.
    """
    sides = [
        {name: max(0, int(finite_number(data.get(f"crop_{name}")))) for name in _CROPS}
        for data in _mappings(video.get("side_data_list"))
        if "crop_top" in data
    ]
    if not sides:
        return 0, 0
    across = sides[0]["left"] + sides[0]["right"]
    down = sides[0]["top"] + sides[0]["bottom"]
    return (across, down) if across < width and down < height else (0, 0)


def _aspect(video: Mapping[str, Any]) -> Fraction:
    # ffprobe prints "0:1" if the file does not name the ratio.
    return _fraction(str(video.get("sample_aspect_ratio", "")).replace(":", "/")) or Fraction(1)


def _rotation(video: Mapping[str, Any]) -> int:
    """Return clockwise degrees; ffprobe gives the display matrix's counter-clockwise angle."""
    for side_data in _mappings(video.get("side_data_list")):
        if "rotation" in side_data:
            return round(-finite_number(side_data["rotation"]) / 90) * 90 % 360
    return 0


def _display_size(width: int, height: int, aspect: Fraction, rotation: int) -> tuple[int, int]:
    """Make the pixels square by stretching the width, as players do, then rotate the picture."""
    squared = max(1, round(width * aspect))
    return (height, squared) if rotation in (90, 270) else (squared, height)


def _duration_sec(
    layout: Mapping[str, Any],
    streams: Sequence[Mapping[str, Any]],
    played: Sequence[Mapping[str, Any]],
) -> float:
    """Return the declared length of the picture and its sound; of the whole file if they have none.

    A track that is not played, of subtitles or another language, may last longer.
    """
    whole = finite_number(layout.get("duration"))
    if whole <= 0:
        whole = max((finite_number(stream.get("duration")) for stream in streams), default=0.0)
    if len(streams) == len(played):
        return whole
    origin_sec = finite_number(layout.get("start_time"))
    ends = [_end_sec(stream, origin_sec) for stream in played]
    return min(whole, max(ends)) if min(ends) > 0 else whole


def _end_sec(stream: Mapping[str, Any], origin_sec: float) -> float:
    """Return the declared end of a track; 0 without one. Matroska has it as a tag."""
    if tagged := _CLOCK.fullmatch(str(_mapping(stream.get("tags")).get("DURATION"))):
        hours, minutes, seconds = map(float, tagged.groups())
        return hours * 3600 + minutes * 60 + seconds
    length_sec = finite_number(stream.get("duration"))
    return _start_sec(stream, origin_sec) + length_sec if length_sec > 0 else 0.0


def _start_sec(stream: Mapping[str, Any], origin_sec: float) -> float:
    if stream.get("start_time") is None:
        return 0.0
    return round(max(0.0, finite_number(stream["start_time"]) - origin_sec), 6)


def _intervals(packets: Sequence[Mapping[str, Any]], index: object) -> list[float]:
    """Return the seconds between neighbouring frames in the order shown.

    B-frames are stored in another order. The first interval is left out, because edit lists
    stretch it. The last few are left out, because frames between them may not have been read. There
    are none for a track of which not every frame is dated: a pack of MPEG dates one of its frames.
    """
    own = [packet for packet in packets if packet.get("stream_index") == index]
    if any("pts_time" not in packet for packet in own):
        return []
    shown = sorted(finite_number(packet["pts_time"]) for packet in own)
    steps = [later - earlier for earlier, later in pairwise(shown)]
    reorder_window = 16  # H.264 and HEVC allow at most 16 frames of reordering
    return steps[1:-reorder_window] if len(steps) > 4 * reorder_window else steps[1:]


def _average_rate(video: Mapping[str, Any], intervals: Sequence[float]) -> Fraction:
    if average := _likely_rate(video.get("avg_frame_rate")):
        return average
    if intervals and _LEAST_STEP_SEC < (typical := median(intervals)) < _MOST_STEP_SEC:
        return Fraction(1 / typical).limit_denominator(1001)
    # Last, because for an uneven rate this is the tick of the container's clock.
    return _likely_rate(video.get("r_frame_rate")) or _FALLBACK_RATE


def _likely_rate(value: object) -> Fraction | None:
    rate = _fraction(value)
    return rate if rate is not None and rate <= _FASTEST_RATE else None


def _even_rate(video: Mapping[str, Any], intervals: Sequence[float]) -> Fraction | None:
    """Return the rate that ffmpeg guessed from the timestamps, if the frames keep it.

    The average is less exact: it includes frames that an edit list removes at either end.
    """
    rate = _fraction(video.get("r_frame_rate"))
    if rate is None or not intervals or abs(1 / rate - median(intervals)) > _JITTER_SEC / 2:
        return None
    return rate


def _is_variable(intervals: Sequence[float], average: Fraction) -> bool:
    """Return True if a frame strays from an even rate.

    A constant source that is taken for a variable one is resampled to its own rate, at no cost. The
    reverse costs sync, so one stray frame suffices.
    """
    if not intervals:
        return False
    typical = median(intervals)
    allowed = max(_JITTER_SEC, typical * _JITTER_SHARE)
    if any(abs(step - typical) > allowed for step in intervals):
        return True
    return typical > _JITTER_SEC and abs(float(average) * typical - 1) > _AVERAGE_DRIFT


def _pixel_format(video: Mapping[str, Any]) -> str:
    """Return ffmpeg's name; WebM keeps the transparency of VP8 and VP9 beside the picture."""
    stored = str(video.get("pix_fmt") or "unknown")
    is_transparent = str(_mapping(video.get("tags")).get("alpha_mode")) == "1"
    return "yuva420p" if is_transparent and stored == "yuv420p" else stored


def _bit_depth(video: Mapping[str, Any], pixel_format: str) -> int:
    if match := _DEPTH_IN_NAME.search(pixel_format):
        return int(match[1])
    return int(finite_number(video.get("bits_per_raw_sample"))) or 8


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _word(value: object) -> str | None:
    return None if value in (None, "", "unknown", "unspecified") else str(value)


def finite_number(value: object) -> float:
    """Read a finite number, or return 0: ffprobe prints `N/A` or `nan` for broken files."""
    try:
        number = float(value)  # type: ignore[arg-type]  # any JSON value may stand there
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _fraction(value: object) -> Fraction | None:
    # The pattern is checked first: Fraction would work for minutes on "1e999999999".
    text = str(value)
    if not _RATIO.fullmatch(text):
        return None
    try:
        fraction = Fraction(text)
    except ZeroDivisionError:
        return None
    return fraction if fraction > 0 else None
