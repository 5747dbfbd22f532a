"""What was published of a video, fetched the way a player fetches it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from pipeline.media.playlist import (
    Master,
    MediaPlaylist,
    Variant,
    leaves_folder,
    parse_master,
    parse_media,
)
from pipeline.media.tools import Tools

TIMEOUT_SEC = (5.0, 30.0)
FFMPEG_SEC = 60
JPEG_QUALITY = "7"
"""Of 2 (best) to 31: small enough to be committed, good enough to be looked at."""


@dataclass(frozen=True)
class Rendition:
    """One rendition in a folder of its own.

    Attributes:
        variant: What the master playlist says of it.
        playlist: What its own playlist says.
        folder: Where its files are; ``index.m3u8`` plays from here.
    """

    variant: Variant
    playlist: MediaPlaylist
    folder: Path

    @property
    def index(self) -> Path:
        """Its playlist."""
        return self.folder / "index.m3u8"

    def joined(self) -> Path:
        """Its init segment and all media segments as one file, which any tool opens."""
        assert self.playlist.map_uri is not None
        names = [self.playlist.map_uri, *(segment.uri for segment in self.playlist.segments)]
        whole = self.folder / "joined.mp4"
        whole.write_bytes(b"".join((self.folder / name).read_bytes() for name in names))
        return whole


@dataclass(frozen=True)
class Published:
    """Everything a viewer can get."""

    master: Master
    renditions: tuple[Rendition, ...]
    fallback: Path
    poster: Path


def fetch_published(asset: dict[str, Any], folder: Path) -> Published:
    """Download manifest, renditions, fallback and poster of a completed asset, without a token."""
    folder.mkdir(parents=True, exist_ok=True)
    with requests.Session() as session:
        session.trust_env = False
        answer = _answer(session, asset["manifest_url"])
        # The addresses in it are relative to the end of the redirect.
        master_url, master = answer.url, parse_master(answer.content.decode())
        return Published(
            master=master,
            renditions=tuple(
                _rendition(session, master_url, variant, folder) for variant in master.variants
            ),
            fallback=_saved(session, asset["fallback_url"], folder / "fallback.mp4"),
            poster=_saved(session, asset["poster_url"], folder / "poster.jpg"),
        )


def _rendition(
    session: requests.Session, master_url: str, variant: Variant, folder: Path
) -> Rendition:
    assert not leaves_folder(variant.uri), variant.uri
    url = urljoin(master_url, variant.uri)
    here = (folder / variant.uri).parent
    here.mkdir(parents=True, exist_ok=True)
    playlist = parse_media(_saved(session, url, here / "index.m3u8").read_text())
    assert playlist.map_uri is not None
    for name in (playlist.map_uri, *(segment.uri for segment in playlist.segments)):
        assert not leaves_folder(name), name
        _saved(session, urljoin(url, name), here / name)
    return Rendition(variant, playlist, here)


def decode_frame(rendition: Rendition, at_sec: float, tools: Tools) -> Path:
    """Decode one frame of a rendition, through its playlist, into a JPEG at its full size."""
    frame = rendition.folder / "frame.jpg"
    command = [tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-protocol_whitelist", "file"]
    command += ["-ss", f"{at_sec:.3f}", "-i", str(rendition.index), "-map", "0:v:0"]
    command += ["-frames:v", "1", "-q:v", JPEG_QUALITY, "-update", "1", str(frame)]
    subprocess.run(command, check=True, timeout=FFMPEG_SEC)
    return frame


def _saved(session: requests.Session, url: str, path: Path) -> Path:
    path.write_bytes(_get(session, url))
    return path


def _get(session: requests.Session, url: str) -> bytes:
    return _answer(session, url).content


def _answer(session: requests.Session, url: str) -> requests.Response:
    answer = session.get(url, timeout=TIMEOUT_SEC)
    answer.raise_for_status()
    return answer
