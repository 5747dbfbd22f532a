"""Reader of HLS playlists (RFC 8216) that a provider wrote.

Playlists come over the network, so their size is bounded and their content is not trusted: numbers
are finite and positive or absent. Readers differ in the ends of lines and in the spelling of
addresses; a playlist that they could read differently is refused. The reader reports every address
and follows none; the caller checks an address before it follows it (see `leaves_folder`).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import m3u8

MAX_PLAYLIST_CHARS = 2 * 1024 * 1024  # 12 h in 2 s segments with long names
MAX_NAME_CHARS = 200
"""Most characters of a name of subtitles that are kept."""
MAX_CHANNELS = 64
# RFC 8216 §4.1 forbids control characters except CR and LF. Python, and so m3u8, also ends a line
# at a lone CR, at some control characters and at two Unicode separators; other readers do not.
_FORBIDDEN = re.compile(r"\r(?!\n)|[\0-\t\v\f\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_URI_ATTRIBUTE = re.compile(r'(?:URI|ASSET-LIST)\s*=(?:(?<=[IT]=)"([^"]*)"(?=,|$))?')
# Exceptions that m3u8 raises for attributes it cannot read.
_PARSER_ERRORS = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError)


class PlaylistInvalid(Exception):
    """The text is not a usable playlist.

    Attributes:
        detail: the fault, one sentence for people.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True)
class Variant:
    """One rendition that a master playlist offers."""

    uri: str
    bandwidth_bps: int  # peak bitrate over the segments
    average_bandwidth_bps: int | None
    width: int | None
    height: int | None
    codecs: str | None
    frame_rate: float | None
    video_range: str | None = None  # SDR, PQ or HLG


@dataclass(frozen=True)
class Sound:
    """A sound track of its own that a master playlist offers."""

    label: str
    channels: int | None


@dataclass(frozen=True)
class Subtitles:
    """Captions or subtitles that a master playlist offers, as a media playlist of WebVTT.

    A missing address or name is empty: players pass such captions over and play the video.
    """

    uri: str
    label: str
    language: str | None  # BCP 47


@dataclass(frozen=True)
class Master:
    """A master (multivariant) playlist; it has at least one variant."""

    variants: tuple[Variant, ...]
    independent_segments: bool
    addresses: frozenset[str]  # every address in it, of any tag
    subtitles: tuple[Subtitles, ...] = ()
    sounds: tuple[Sound, ...] = ()


@dataclass(frozen=True)
class Segment:
    """One piece of a rendition."""

    uri: str
    duration_sec: float


@dataclass(frozen=True)
class MediaPlaylist:
    """The segments of one rendition, in order; there is at least one."""

    target_duration_sec: float
    duration_sec: float  # of all segments together
    segments: tuple[Segment, ...]
    map_uri: str | None  # the initialisation section of fMP4
    ended: bool  # True if no segment will be added
    addresses: frozenset[str]  # every address in it, of any tag


def parse_master(text: str) -> Master:
    """Read a master playlist.

    Raises:
        PlaylistInvalid: it is something else, too large, or a variant lacks a required attribute.
    """
    playlist = _parsed(text)
    if not playlist.is_variant or not playlist.playlists:
        raise PlaylistInvalid("It offers no renditions.")
    return Master(
        variants=tuple(_variant(found) for found in playlist.playlists),
        independent_segments=bool(playlist.is_independent_segments),
        addresses=_addresses(text, playlist),
        subtitles=tuple(map(_subtitles, _of_type(playlist, "SUBTITLES"))),
        sounds=tuple(map(_sound, _of_type(playlist, "AUDIO"))),
    )


def parse_media(text: str) -> MediaPlaylist:
    """Read a media playlist.

    Raises:
        PlaylistInvalid: it is something else, too large, or has no playable segment.
    """
    playlist = _parsed(text)
    if playlist.is_variant or not playlist.segments:
        raise PlaylistInvalid("It has no segments.")
    segments = tuple(_segment(found) for found in playlist.segments)
    return MediaPlaylist(
        target_duration_sec=_positive(playlist.target_duration, "EXT-X-TARGETDURATION"),
        duration_sec=math.fsum(segment.duration_sec for segment in segments),
        segments=segments,
        map_uri=_map_uri(playlist),
        ended=bool(playlist.is_endlist),
        addresses=_addresses(text, playlist),
    )


def leaves_folder(uri: str) -> bool:
    """Return True if an address may point outside the playlist's own folder.

    The address is read as leniently as players read it: they drop tabs and control characters,
    take a backslash for a slash, and insert a playlist's own variables.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:  # an unreadable bracket or host
        return True
    path = unquote(parts.path)
    climbs = ".." in path.replace("\\", "/").split("/")
    moves = climbs or "{$" in uri or path.startswith(("/", "\\"))
    return bool(parts.scheme or parts.netloc or moves)


def is_ambiguous(uri: str) -> bool:
    """Return True if players may read an address differently from `urljoin`.

    They take a backslash for a slash, and insert a playlist's own variables.
    """
    return "\\" in uri or "{$" in uri


def _parsed(text: str) -> Any:
    if len(text) > MAX_PLAYLIST_CHARS:
        raise PlaylistInvalid("It is too large.")
    if not text.removeprefix("\ufeff").startswith("#EXTM3U"):
        raise PlaylistInvalid("It does not begin with #EXTM3U.")
    if _FORBIDDEN.search(text):
        raise PlaylistInvalid("It holds characters that are forbidden in a playlist.")
    try:
        return m3u8.loads(text)
    except (*_PARSER_ERRORS, m3u8.ParseError) as error:
        raise PlaylistInvalid("It cannot be parsed.") from error


def _addresses(text: str, playlist: Any) -> frozenset[str]:
    """Collect the addresses of all lines, also in tags unknown to the parser, and the parser's."""
    return frozenset((*_line_addresses(text), *_parsed_addresses(playlist.data)))


def _line_addresses(text: str) -> Iterator[str]:
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#EXT"):
            yield from _tag_addresses(line)
        elif line and not line.startswith("#"):
            yield line


def _tag_addresses(tag: str) -> Iterator[str]:
    for found in _URI_ATTRIBUTE.finditer(tag):
        if found[1] is None:
            raise PlaylistInvalid("An address is not in quotes.")
        yield found[1]


def _parsed_addresses(found: Any) -> Iterator[str]:
    if isinstance(found, list):
        for one in found:
            yield from _parsed_addresses(one)
    elif isinstance(found, dict):
        for name, value in found.items():
            if isinstance(value, str) and str(name).endswith("uri"):
                yield value
            else:
                yield from _parsed_addresses(value)


def _variant(found: Any) -> Variant:
    info = found.stream_info
    width, height = info.resolution or (None, None)
    return Variant(
        uri=_uri(found.uri),
        bandwidth_bps=round(_positive(info.bandwidth, "BANDWIDTH")),
        average_bandwidth_bps=_rounded(info.average_bandwidth, "AVERAGE-BANDWIDTH"),
        width=width,
        height=height,
        codecs=info.codecs,
        frame_rate=_positive(info.frame_rate, "FRAME-RATE") if info.frame_rate else None,
        video_range=info.video_range,
    )


def _of_type(playlist: Any, type_: str) -> list[Any]:
    return [found for found in playlist.media if found.type == type_]


def _subtitles(found: Any) -> Subtitles:
    label, language = _text_of(found.name), _text_of(found.language)
    return Subtitles(_text_of(found.uri), label[:MAX_NAME_CHARS], language[:MAX_NAME_CHARS] or None)


def _text_of(found: Any) -> str:
    return found if isinstance(found, str) else ""


def _sound(found: Any) -> Sound:
    channels = str(found.channels or "").partition("/")[0]
    count = int(channels) if channels.isascii() and channels.isdigit() else 0
    return Sound(str(found.name or "")[:MAX_NAME_CHARS], min(count, MAX_CHANNELS) or None)


def _segment(found: Any) -> Segment:
    return Segment(_uri(found.uri), _positive(found.duration, "EXTINF"))


def _map_uri(playlist: Any) -> str | None:
    # m3u8 lists None for a map that no segment follows.
    maps = [found for found in playlist.segment_map if found is not None]
    return _uri(maps[0].uri) if maps else None


def _uri(found: Any) -> str:
    if not isinstance(found, str) or not found:
        raise PlaylistInvalid("An address is missing.")
    return found


def _rounded(found: Any, name: str) -> int | None:
    return None if found is None else round(_positive(found, name))


def _positive(found: Any, name: str) -> float:
    if not isinstance(found, int | float) or not math.isfinite(found) or found <= 0:
        raise PlaylistInvalid(f"{name} is missing or not a positive number.")
    return float(found)
