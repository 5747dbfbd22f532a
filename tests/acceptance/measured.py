"""What ffprobe says of a file: an opinion independent of everything that wrote it."""

import json
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from pipeline.media.tools import Tools

PROBE_SEC = 30
AVC_PROFILES = {"High": "6400"}
"""RFC 6381: profile_idc and constraint flags in hex; the level follows. High is what we encode."""
AAC_PROFILES = {"LC": "2"}
"""Audio object types of ISO/IEC 14496-3."""


@dataclass(frozen=True)
class Measured:
    """One file with a picture and at most one sound track.

    Attributes:
        frame_rate: Frames a second, the average.
        duration_sec: Of the picture: its frames over their rate.
        codecs: As RFC 6381 writes them.
        sample_aspect_ratio: ``1:1`` when pixels are square.
        transfer: Of the colours, such as ``bt709``.
        rotation: Degrees that a player would have to turn it by.
    """

    width: int
    height: int
    frame_rate: Fraction
    duration_sec: float
    codecs: str
    pixel_format: str
    sample_aspect_ratio: str
    transfer: str
    progressive: bool
    rotation: int


def measured(path: Path, tools: Tools) -> Measured:
    """Measure a file, every frame of it counted."""
    command = [tools.ffprobe, "-v", "error", "-count_packets", "-show_streams", "-of", "json"]
    done = subprocess.run([*command, str(path)], check=True, capture_output=True, timeout=PROBE_SEC)
    streams = json.loads(done.stdout)["streams"]
    [video] = [stream for stream in streams if stream["codec_type"] == "video"]
    sound = [stream for stream in streams if stream["codec_type"] == "audio"]
    rate = Fraction(video["avg_frame_rate"])
    return Measured(
        width=video["width"],
        height=video["height"],
        frame_rate=rate,
        duration_sec=float(int(video["nb_read_packets"]) / rate),
        codecs=",".join([_avc(video), *map(_aac, sound)]),
        pixel_format=video["pix_fmt"],
        sample_aspect_ratio=video["sample_aspect_ratio"],
        transfer=video["color_transfer"],
        progressive=video.get("field_order", "progressive") == "progressive",
        rotation=sum(int(data.get("rotation", 0)) for data in video.get("side_data_list", ())),
    )


def _avc(stream: dict[str, Any]) -> str:
    return f"avc1.{AVC_PROFILES[stream['profile']]}{stream['level']:02X}"


def _aac(stream: dict[str, Any]) -> str:
    return f"mp4a.40.{AAC_PROFILES[stream['profile']]}"
