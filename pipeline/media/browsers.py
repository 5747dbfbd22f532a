"""Sources that a browser plays without an encode."""

from collections.abc import Mapping
from typing import NamedTuple


class Playable(NamedTuple):
    """Codecs in a container that every current browser plays, in ffmpeg's names.

    Attributes:
        video: Codecs of the picture.
        audio: Codecs of the sound; None stands for a file without sound.
    """

    video: frozenset[str]
    audio: frozenset[str | None]


PLAYABLE: Mapping[str, Playable] = {
    "mp4": Playable(frozenset({"h264"}), frozenset({"aac", None})),
    "webm": Playable(frozenset({"vp8", "vp9", "av1"}), frozenset({"opus", "vorbis", None})),
}
"""Combinations that MDN's tables of containers and codecs recommend for the web:
https://developer.mozilla.org/en-US/docs/Web/Media/Guides/Formats/Containers
https://developer.mozilla.org/en-US/docs/Web/Media/Guides/Formats/Video_codecs
QuickTime (``mov``) and HEVC are left out: Safari plays them, other browsers do not."""

PIXEL_FORMATS = frozenset({"yuv420p", "yuvj420p"})
"""8 bit, 4:2:0, the formats that hardware decoders accept; the second is the full-range one."""


def plays_as_it_is(facts: Mapping[str, str | None]) -> bool:
    """Return True if browsers play a file with these facts.

    Args:
        facts: ``container``, ``video_codec``, ``pixel_format`` and ``audio_codec`` of a
            `SourceInfo`; a missing fact fits nothing, except a missing ``audio_codec``.
    """
    fits = PLAYABLE.get(facts.get("container") or "")
    return (
        fits is not None
        and facts.get("video_codec") in fits.video
        and facts.get("pixel_format") in PIXEL_FORMATS
        and facts.get("audio_codec") in fits.audio
    )
