"""Warnings of published outputs: for each code the sentence for the owner of the video.

A warning names a difference of the outputs from their source. ``docs/warnings.md`` is generated
from this module.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_WARNINGS = 32
"""Most warnings that are kept of one output."""
MAX_DETAIL = 300
"""Most characters of a provider's detail that are kept."""


class WarningCode(StrEnum):
    """Codes of warnings. The member ``warnings`` of an asset's document holds these values."""

    SOUND_LEFT_OUT = "sound_left_out"
    """No sound track of the source could be decoded, so the outputs are silent."""
    SOUND_DOWNMIXED = "sound_downmixed"
    """The sound has more channels than two, or an unusual layout, and became stereo."""
    SOUND_TRACKS_DROPPED = "sound_tracks_dropped"
    """The source has further sound tracks, such as languages or commentaries."""
    SOUND_CUT = "sound_cut"
    """The sound of the outputs lacks a part of the source's, or is silent in places."""
    PICTURE_TRACKS_DROPPED = "picture_tracks_dropped"
    """The source has further pictures, such as camera angles."""
    SUBTITLES_DROPPED = "subtitles_dropped"
    """The source has subtitles, which the outputs lack."""
    RESOLUTION_LOWERED = "resolution_lowered"
    """The largest rendition has fewer lines than the source."""
    RENDITION_MISSING = "rendition_missing"
    """The provider made fewer sizes than it should have."""
    FRAME_RATE_LOWERED = "frame_rate_lowered"
    """The outputs have fewer frames a second than the source."""
    FRAMES_LOST = "frames_lost"
    """Frames of the source could not be decoded, or were dropped."""
    HDR_CONVERTED = "hdr_converted"
    """The source has a high dynamic range, and the outputs the standard one."""
    COLOURS_REDUCED = "colours_reduced"
    """The source has colours that the outputs' standard range cannot hold."""
    TRANSPARENCY_DROPPED = "transparency_dropped"
    """The source is transparent in places, which the outputs are not."""
    PICTURE_CROPPED = "picture_cropped"
    """The outputs show a part of the stored picture, as the source's container demands."""
    PICTURE_FITTED = "picture_fitted"
    """The picture of the source changes its size; the outputs show it with bars in one size."""
    TIMING_MENDED = "timing_mended"
    """The clock of the source jumps or contradicts itself; the outputs have an even one."""
    LENGTH_DIFFERS = "length_differs"
    """The source declares another length than its frames have."""
    OUTPUT_DIFFERS = "output_differs"
    """The provider names a difference for which no other code exists."""


SENTENCES: Mapping[WarningCode, str] = {
    WarningCode.SOUND_LEFT_OUT: (
        "The sound of this video could not be read, so it plays without sound. "
        "Upload it with AAC sound to have it heard."
    ),
    WarningCode.SOUND_DOWNMIXED: "The sound was mixed down to stereo.",
    WarningCode.SOUND_TRACKS_DROPPED: "Only one of the sound tracks of this video is played.",
    WarningCode.SOUND_CUT: "A part of the sound is missing.",
    WarningCode.PICTURE_TRACKS_DROPPED: "Only one of the pictures of this video is shown.",
    WarningCode.SUBTITLES_DROPPED: "The subtitles inside the uploaded file are not shown.",
    WarningCode.RESOLUTION_LOWERED: "The picture was reduced to a smaller size.",
    WarningCode.RENDITION_MISSING: "A size of the picture is missing.",
    WarningCode.FRAME_RATE_LOWERED: "The number of frames a second was lowered.",
    WarningCode.FRAMES_LOST: "Some frames of this video could not be read and are missing.",
    WarningCode.HDR_CONVERTED: "The HDR picture was converted to the standard range.",
    WarningCode.COLOURS_REDUCED: "The colours were reduced to the standard range.",
    WarningCode.TRANSPARENCY_DROPPED: "Transparent parts of the picture were filled.",
    WarningCode.PICTURE_CROPPED: "The picture was cropped as the uploaded file demands.",
    WarningCode.PICTURE_FITTED: (
        "The picture changes its size within the video; it is shown with bars in one size."
    ),
    WarningCode.TIMING_MENDED: "The timing inside the uploaded file was broken and was mended.",
    WarningCode.LENGTH_DIFFERS: "The uploaded file declares another length than it has.",
    WarningCode.OUTPUT_DIFFERS: "The processed video differs from the uploaded one.",
}
"""The sentence of each code, for the owner of the video."""


@dataclass(frozen=True)
class OutputWarning:
    """A difference of the outputs from their source.

    Attributes:
        detail: Figures or names for the chronicle, such as ``120 to 60``.
    """

    code: WarningCode
    detail: str = ""


def reported_warning(code: str, detail: str = "") -> OutputWarning:
    """Return a provider's warning; an unknown code becomes ``output_differs``."""
    try:
        return OutputWarning(WarningCode(code), detail[:MAX_DETAIL])
    except ValueError:
        return OutputWarning(WarningCode.OUTPUT_DIFFERS, f"{code}: {detail}"[:MAX_DETAIL])


def one_per_code(warnings: Iterable[OutputWarning]) -> tuple[OutputWarning, ...]:
    """Return the warnings in the order of the codes, the first of each code."""
    first: dict[WarningCode, OutputWarning] = {}
    for warning in warnings:
        first.setdefault(warning.code, warning)
    return tuple(first[code] for code in WarningCode if code in first)[:MAX_WARNINGS]


def warning_rows(warnings: Iterable[OutputWarning]) -> list[dict[str, str]]:
    """Return the warnings as they are stored: code, and detail if there is one."""
    return [
        {"code": warning.code.value, **({"detail": warning.detail} if warning.detail else {})}
        for warning in warnings
    ]


def warning_documents(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return stored warnings as their readers get them: code and sentence."""
    codes = (reported_warning(str(row["code"])).code for row in rows)
    return [{"code": code.value, "message": SENTENCES[code]} for code in codes]
