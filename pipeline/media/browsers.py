"""Which sources a browser plays as they are, without an encode."""

from collections.abc import Mapping
from typing import NamedTuple


class Playable(NamedTuple):
    """What a container may hold for every current browser to play it.

    Attributes:
        video: Codecs of the picture, in ffmpeg's names.
        audio: Codecs of the sound; None where there is none.
    """

    video: frozenset[str]
    audio: frozenset[str | None]


PLAYABLE: Mapping[str, Playable] = {
    "mp4": Playable(frozenset({"h264"}), frozenset({"aac", None})),
    "webm": Playable(frozenset({"vp8", "vp9", "av1"}), frozenset({"opus", "vorbis", None})),
}
"""From MDN's tables of containers and codecs, the combinations under "recommended" for the web:
https://developer.mozilla.org/en-US/docs/Web/Media/Guides/Formats/Containers
https://developer.mozilla.org/en-US/docs/Web/Media/Guides/Formats/Video_codecs
QuickTime (``mov``) is left out though Safari plays it, and so is HEVC: others do not."""

PIXEL_FORMATS = frozenset({"yuv420p", "yuvj420p"})
"""8 bit, 4:2:0: what hardware decoders take. The second says full range in its name."""


def plays_as_it_is(facts: Mapping[str, str | None]) -> bool:
    """Whether browsers play a file with these facts.

    Args:
        facts: ``container``, ``video_codec``, ``pixel_format`` and ``audio_codec`` of a
            `SourceInfo`; one that is missing fits nothing, but for silence.
    """
    fits = PLAYABLE.get(facts.get("container") or "")
    return (
        fits is not None
        and facts.get("video_codec") in fits.video
        and facts.get("pixel_format") in PIXEL_FORMATS
        and facts.get("audio_codec") in fits.audio
    )
