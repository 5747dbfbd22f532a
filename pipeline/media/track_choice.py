"""Choice of a source's sound among its tracks, and the count of the tracks that are left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_UNNAMED_CODECS = (None, "unknown", "none")
_MOST_CHANNELS = 64
"""An ambisonic field of the seventh order; 22.2 surround has 24. More are an attack."""


@dataclass(frozen=True)
class ChosenSound:
    """The sound track that is played.

    Attributes:
        index: Its place among the sound tracks, from 0: `0:a:{index}` in ffmpeg.
        stream: ffprobe's description.
    """

    index: int
    stream: Mapping[str, Any]


def choose_sound(streams: Sequence[Mapping[str, Any]]) -> ChosenSound | None:
    """Choose the sound that players would play.

    A track that a decoder was found for comes first, among those the one that the container marks
    as the default, among those the first.

    Returns:
        None if the source has no sound, or none of a known codec and up to 64 channels.
    """
    sounds = list(enumerate(s for s in streams if s.get("codec_type") == "audio"))
    known = [each for each in sounds if _is_known(each[1])]
    if not known:
        return None
    return ChosenSound(*max(known, key=lambda each: (_rank(each[1]), -each[0])))


def count_tracks(streams: Sequence[Mapping[str, Any]], kind: str) -> int:
    """Count the tracks of a kind (`audio`, `video`, `subtitle`), cover art excluded."""
    return sum(
        s.get("codec_type") == kind and not has_disposition(s, "attached_pic") for s in streams
    )


def has_disposition(stream: Mapping[str, Any], name: str) -> bool:
    """Return true if the container marks the stream so."""
    marks = stream.get("disposition")
    return isinstance(marks, Mapping) and bool(marks.get(name))


def _is_known(sound: Mapping[str, Any]) -> bool:
    channels = sound.get("channels")
    few = not isinstance(channels, int) or channels <= _MOST_CHANNELS
    return few and sound.get("codec_name") not in _UNNAMED_CODECS


def _rank(sound: Mapping[str, Any]) -> tuple[bool, bool]:
    # Only a decoder knows the form of the samples.
    is_decodable = sound.get("sample_fmt") not in (None, "unknown")
    return is_decodable, has_disposition(sound, "default")
