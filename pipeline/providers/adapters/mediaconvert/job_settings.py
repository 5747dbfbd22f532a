"""The job that AWS Elemental MediaConvert is given: a ladder in HLS, an MP4, and a poster.

The members are those of the service's API reference (``CreateJob``, version 2017-08-29).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.domain.values import Profile, SourceFacts, SubmitRequest

MANIFEST, FALLBACK, POSTER = "main", "fallback", "poster"
"""Names of the files, without what the service appends."""
SEGMENT_SEC = 6
"""Length of a segment (Apple, "HLS Authoring Specification", section 7.5)."""
GOP_SEC = 2
SOUND_BPS, SOUND_HZ = 128_000, 48_000
SINGLE_SIDE = 720
"""Largest short side of the MP4 and of the poster."""
MILLISEC = 1000

MAX_BPS: Mapping[Profile, int] = {
    Profile.P2160: 16_000_000,
    Profile.P1440: 9_000_000,
    Profile.P1080: 5_500_000,
    Profile.P720: 3_000_000,
    Profile.P480: 1_400_000,
    Profile.P360: 800_000,
    Profile.P240: 400_000,
}
"""Peak of the picture's bitrate, for each rendition of the ladder."""


_DISTINCT_SHARE = 0.9
"""Share of the source's short side up to which a smaller profile is worth a rendition."""


@dataclass(frozen=True)
class Rendition:
    """A rendition of the ladder, of even sides."""

    name: str
    width: int
    height: int
    max_bps: int

    @property
    def short_side(self) -> int:
        """The smaller of width and height, in pixels."""
        return min(self.width, self.height)


def ladder_of(source: SourceFacts, cap: Profile | None) -> list[Rendition]:
    """Return the renditions of a source, the largest first; none is larger than source or cap.

    A source between two profiles gets one of its own size above them, and instead of a profile that
    is hardly smaller. A source below the smallest profile gets one rendition of its own size.
    """
    most = min(source.short_side, _side(cap) if cap else source.short_side)
    fitting = [profile for profile in Profile if _side(profile) <= most]
    if not fitting:
        smallest = list(Profile)[-1]
        return [Rendition(smallest.value, *_scaled(source, most), MAX_BPS[smallest])]
    own = _own_rendition(source, most - most % 2)
    bound = _DISTINCT_SHARE * own.short_side if own else most
    named = [
        Rendition(profile.value, *_scaled(source, _side(profile)), MAX_BPS[profile])
        for profile in fitting
        if _side(profile) <= bound
    ]
    return [own, *named] if own else named


def _own_rendition(source: SourceFacts, side: int) -> Rendition | None:
    """Return the rendition of a source between two profiles; None for any other source."""
    above = [profile for profile in Profile if _side(profile) > side]
    if not above or side in map(_side, Profile):
        return None
    width, height = (each - each % 2 for each in (source.width, source.height))
    return Rendition(f"{side}p", width, height, MAX_BPS[above[-1]])


def user_metadata(request: SubmitRequest) -> dict[str, str]:
    """Return the member ``UserMetadata`` of a job: our attempt, and the keys of its outputs.

    Pictures are counted from 0, in seven digits, and the first frame is always one of them. The
    poster is the one after it, unless it is the first frame itself.
    """
    number = int(_poster_time(request) > 0)
    cap = {"max_profile": request.max_profile.value} if request.max_profile else {}
    return {
        **cap,
        "attempt_id": str(request.attempt_id),
        "manifest": f"{request.output_prefix}/{MANIFEST}.m3u8",
        "fallback": f"{request.output_prefix}/{FALLBACK}.mp4",
        "poster": f"{request.poster_prefix}/{POSTER}.{number:07}.jpg",
    }


def _poster_time(request: SubmitRequest) -> float:
    """Return the instant of the poster: the owner's choice, or a quarter into the video.

    The first frame is often black, and an instant after the end would give no picture.
    """
    duration_sec = request.source.duration_sec
    chosen = request.poster_time_sec
    return min(duration_sec / 4 if chosen is None else chosen, duration_sec * 0.9)


def job_settings(request: SubmitRequest, destination: str) -> dict[str, Any]:
    """Return the member ``Settings`` of a job.

    Args:
        destination: The ``s3://`` address before the prefixes of the request.
    """
    ladder = ladder_of(request.source, request.max_profile)
    outputs, posters = (
        f"{destination.rstrip('/')}/{prefix}"
        for prefix in (request.output_prefix, request.poster_prefix)
    )
    return {
        "TimecodeConfig": {"Source": "ZEROBASED"},
        "Inputs": [_input(request.source_url)],
        "OutputGroups": [
            _hls_group(f"{outputs}/{MANIFEST}", ladder),
            _file_group(f"{outputs}/{FALLBACK}", _mp4(_largest_within(ladder, SINGLE_SIDE))),
            _file_group(f"{posters}/{POSTER}", _capture(ladder, _poster_time(request))),
        ],
    }


def _input(url: str) -> dict[str, Any]:
    return {
        "FileInput": url,
        "TimecodeSource": "ZEROBASED",
        "VideoSelector": {"Rotate": "AUTO"},
        "AudioSelectors": {"Audio Selector 1": {"DefaultSelection": "DEFAULT"}},
    }


def _hls_group(destination: str, ladder: Sequence[Rendition]) -> dict[str, Any]:
    settings = {
        "Destination": destination,
        "SegmentLength": SEGMENT_SEC,
        "MinSegmentLength": 0,
        "SegmentControl": "SEGMENTED_FILES",
        "DirectoryStructure": "SINGLE_DIRECTORY",
        "OutputSelection": "MANIFESTS_AND_SEGMENTS",
        "ManifestDurationFormat": "FLOATING_POINT",
        "ManifestCompression": "NONE",
        "CodecSpecification": "RFC_4281",
        "StreamInfResolution": "INCLUDE",
    }
    return {
        "Name": "HLS",
        "OutputGroupSettings": {"Type": "HLS_GROUP_SETTINGS", "HlsGroupSettings": settings},
        "Outputs": [
            {
                "NameModifier": f"_{rendition.name}",
                "ContainerSettings": {"Container": "M3U8"},
                "VideoDescription": _picture(rendition),
                "AudioDescriptions": [_sound()],
            }
            for rendition in ladder
        ],
    }


def _file_group(destination: str, output: Mapping[str, Any]) -> dict[str, Any]:
    settings = {"Destination": destination}
    return {
        "OutputGroupSettings": {"Type": "FILE_GROUP_SETTINGS", "FileGroupSettings": settings},
        "Outputs": [output],
    }


def _mp4(rendition: Rendition) -> dict[str, Any]:
    return {
        "ContainerSettings": {
            "Container": "MP4",
            "Mp4Settings": {"MoovPlacement": "PROGRESSIVE_DOWNLOAD"},
        },
        "VideoDescription": _picture(rendition),
        "AudioDescriptions": [_sound()],
    }


def _capture(ladder: Sequence[Rendition], time_sec: float) -> dict[str, Any]:
    """Return the output that writes the first frame, and the one of the poster's instant."""
    rendition = _largest_within(ladder, SINGLE_SIDE)
    return {
        "ContainerSettings": {"Container": "RAW"},
        "VideoDescription": {
            "Width": rendition.width,
            "Height": rendition.height,
            "ScalingBehavior": "STRETCH_TO_OUTPUT",
            "CodecSettings": {
                "Codec": "FRAME_CAPTURE",
                "FrameCaptureSettings": {
                    "FramerateNumerator": MILLISEC,
                    "FramerateDenominator": max(round(time_sec * MILLISEC), 1),
                    "MaxCaptures": 2 if time_sec > 0 else 1,
                    "Quality": 80,
                },
            },
        },
    }


def _picture(rendition: Rendition) -> dict[str, Any]:
    return {
        "Width": rendition.width,
        "Height": rendition.height,
        # The sides are rounded to even numbers, which must not make a border.
        "ScalingBehavior": "STRETCH_TO_OUTPUT",
        "CodecSettings": {
            "Codec": "H_264",
            "H264Settings": {
                "RateControlMode": "QVBR",
                "MaxBitrate": rendition.max_bps,
                "QualityTuningLevel": "SINGLE_PASS_HQ",
                "FramerateControl": "INITIALIZE_FROM_SOURCE",
                "GopSize": GOP_SEC,
                "GopSizeUnits": "SECONDS",
                "ParControl": "SPECIFIED",
                "ParNumerator": 1,
                "ParDenominator": 1,
            },
        },
    }


def _sound() -> dict[str, Any]:
    aac = {"Bitrate": SOUND_BPS, "SampleRate": SOUND_HZ, "CodingMode": "CODING_MODE_2_0"}
    return {
        "AudioSourceName": "Audio Selector 1",
        "CodecSettings": {"Codec": "AAC", "AacSettings": aac},
    }


def _largest_within(ladder: Sequence[Rendition], side: int) -> Rendition:
    return next((each for each in ladder if each.short_side <= side), ladder[-1])


def _side(profile: Profile) -> int:
    return int(profile.value.removesuffix("p"))


def _scaled(source: SourceFacts, side: int) -> tuple[int, int]:
    scale = side / source.short_side
    width, height = (max(round(each * scale / 2) * 2, 2) for each in (source.width, source.height))
    return width, height
