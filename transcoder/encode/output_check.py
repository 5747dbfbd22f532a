"""Check of an encode's files before they are published.

A decoder that a file has taken over may write anything into the folders of its outputs. Only files
that the encode needs are published: the names are known before, and each file is looked at.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.media.playlist import parse_media
from transcoder.encode.encode_command import INIT_SEGMENT
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.encode_limits import encode_confinement, outputs_bound_bytes
from transcoder.encode.encode_source import Encoded
from transcoder.encode.fallback import FALLBACK
from transcoder.encode.ffmpeg_arguments import PLAYLIST
from transcoder.encode.master_playlist import MASTER
from transcoder.encode.output_meter import folder_bytes
from transcoder.encode.pictures import POSTER, THUMBNAIL
from transcoder.encode.storyboard_sheet import CUES, SHEET

_SEGMENT_NAME = re.compile(r"seg_\d{5,}\.m4s")
_JPEG = re.compile(rb"\xff\xd8\xff")
_MP4, _SEGMENT = re.compile(rb"(?s:....)ftyp"), re.compile(rb"(?s:....)(?:styp|moof|sidx)")
_PLAYLIST, _CUES = re.compile(rb"#EXTM3U\n"), re.compile(rb"WEBVTT\n")
_HEAD_BYTES = 16


def check_outputs(encoded: Encoded) -> None:
    """Check that the folders of an encode hold the files of a video and nothing else.

    Args:
        encoded: The encode; no program writes into its folders any more. The length of its source
            decides the largest sizes.

    Raises:
        EncodeFailed: `encoder_failed`; a file is missing, is not expected, is of another kind or
            is too large.
    """
    max_file_bytes = encode_confinement(encoded.source).file_bytes
    _check_folder(encoded.pictures, _pictures(encoded), max_file_bytes)
    _check_folder(encoded.outputs, _outputs(encoded), max_file_bytes)
    if folder_bytes(encoded.outputs) > outputs_bound_bytes(encoded.source):
        raise _unexpected(encoded.outputs.name)


def _pictures(encoded: Encoded) -> dict[str, re.Pattern[bytes]]:
    storyboard = {SHEET: _JPEG, CUES: _CUES} if encoded.has_storyboard else {}
    return {POSTER: _JPEG, THUMBNAIL: _JPEG, **storyboard}


def _outputs(encoded: Encoded) -> dict[str, re.Pattern[bytes]]:
    names = {MASTER: _PLAYLIST, FALLBACK: _MP4}
    for rendition in encoded.renditions:
        folder = encoded.outputs / rendition.profile
        names[f"{folder.name}/{PLAYLIST}"] = _PLAYLIST
        names[f"{folder.name}/{INIT_SEGMENT}"] = _MP4
        for segment in parse_media((folder / PLAYLIST).read_text()).segments:
            if not _SEGMENT_NAME.fullmatch(segment.uri):
                raise _unexpected(folder.name)
            names[f"{folder.name}/{segment.uri}"] = _SEGMENT
    return names


def _check_folder(folder: Path, kinds: Mapping[str, re.Pattern[bytes]], max_bytes: int) -> None:
    found = set()
    for name in _names_below(folder):
        if name not in kinds or not _is_of_kind(folder / name, kinds[name], max_bytes):
            raise _unexpected(folder.name)
        found.add(name)
    if found != set(kinds):
        raise _unexpected(folder.name)


def _names_below(folder: Path) -> Iterator[str]:
    """Yield the relative names of files below a folder, and of links and devices."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry.name
            else:
                for name in _names_below(Path(entry)):
                    yield f"{entry.name}/{name}"


def _is_of_kind(path: Path, head: re.Pattern[bytes], max_bytes: int) -> bool:
    """Check that a file is a regular one without a second name, and begins as its kind does."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    if not 0 < status.st_size <= max_bytes:
        return False
    with path.open("rb") as file:
        return head.match(file.read(_HEAD_BYTES)) is not None


def _unexpected(folder: str) -> EncodeFailed:
    detail = f"The encoder's {folder} are not the files of a video and nothing else."
    return EncodeFailed("encoder_failed", detail)
