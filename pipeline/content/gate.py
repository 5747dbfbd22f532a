"""The gate: completed means playable.

It reads the outputs like a player, over the network, before anything is published. Our own outputs
are read in the storage itself while our API does not serve them. The master playlist and every
variant parse, agree with the source's duration and lead to segments. The fallback seeks. The poster
is a picture and not black.

The gate checks a storyboard too, but a faulty one rejects nothing, because the video plays without
it. The storyboard is left out and the chronicle has the reason, even if only the reading failed.

Captions are in the manifest, which players get as it is. Those that are WebVTT are listed; others
are named in the chronicle. Captions that cannot be read for a passing reason are waited for: the
list is not made again.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urljoin

from pipeline.content.media_tokens import NO_HOLDER
from pipeline.content.object_urls import key_of, owner_of_output, signed_url
from pipeline.content.source import HOST_UNFIT, STORAGE_UNAVAILABLE
from pipeline.content.stored_reader import OutputReader, StorageUnread, StoredReader
from pipeline.domain.decide import GateResult
from pipeline.domain.values import Caption, Outputs
from pipeline.media.boxes import is_faststart, walk
from pipeline.media.captions import MAX_CAPTION_BYTES, CaptionsInvalid, check_captions
from pipeline.media.frames import is_black, luma_of, size_of
from pipeline.media.playlist import (
    Master,
    MediaPlaylist,
    PlaylistInvalid,
    Subtitles,
    is_ambiguous,
    leaves_folder,
    parse_master,
    parse_media,
)
from pipeline.media.source_limits import MediaRefused
from pipeline.media.storyboard import StoryboardInvalid, parse_cues
from pipeline.net.fetch import FetchRefused
from pipeline.providers.base import OutputKind
from pipeline.services import Services

PLAYLIST_MAX_BYTES = 4 * 1024 * 1024
"""A 24 h variant at 2 s segments is about 3 MB."""
IMAGE_MAX_BYTES = 8 * 1024 * 1024
MAX_CAPTIONS = 100
"""Most captions of a manifest that are read and listed. Players get the others unchecked."""
MAX_FAULT_CHARS = 500
"""Most characters about faulty captions in the chronicle."""
DURATION_TOLERANCE = 0.02
DURATION_TOLERANCE_SEC = 0.5
"""A rendition may differ from its source by 2 % or half a second, the larger of the two: frame
rate conversion moves the last frame, and a container's own duration is rounded."""


class GateUnavailable(Exception):
    """The outputs could not be read for a passing reason: wait and check again."""


@dataclass(frozen=True)
class GateVerdict:
    """Verdict of the gate.

    Attributes:
        rule: The rule that failed; None if all hold.
        storyboard_fault: The reason to leave the storyboard out; None if it has no fault.
        captions: The captions of the manifest that are WebVTT.
        captions_fault: The faults of the others; None if they have none.
        master: The manifest, if the outputs passed.
    """

    result: GateResult
    rule: str | None = None
    storyboard_fault: str | None = None
    captions: tuple[Caption, ...] = ()
    captions_fault: str | None = None
    master: Master | None = field(default=None, compare=False)


class _Rejected(Exception):
    """Failure of a rule."""


class _Disagrees(_Rejected):
    """The outputs are as long as each other and not as long as the source was measured."""


class _Misplaced(Exception):
    """An address in a playlist leads out of the places that the attempt's outputs may have."""


Sign = Callable[[str, OutputKind, datetime], str]
"""Adds the right to read an address at the provider, until an instant."""


def check_outputs(
    services: Services,
    outputs: Outputs,
    *,
    expected_sec: float | None,
    sign: Sign | None = None,
) -> GateVerdict:
    """Check every output that there is and that a viewer would get.

    Args:
        expected_sec: The source's measured duration; None takes the provider's own figure.
        sign: Signs the provider's addresses; None if every reader may read them.

    Raises:
        GateUnavailable: no rule failed, but not everything could be read.
    """
    gate = _Gate(services, expected_sec or outputs.duration_sec or 0.0, sign)
    try:
        return _judge(services, gate, outputs)
    except FetchRefused as error:
        if key_of(outputs.manifest_url) is not None:
            return _judge_stored(services, gate.from_storage(), outputs)
        return _unreadable(error)


def _judge_stored(services: Services, gate: "_Gate", outputs: Outputs) -> GateVerdict:
    """Read our own outputs in the storage: our API may be the one that did not serve them."""
    try:
        return _judge(services, gate, outputs)
    except FetchRefused as error:
        return _unreadable(error)
    except StorageUnread as error:
        raise GateUnavailable(STORAGE_UNAVAILABLE) from error


def _unreadable(error: FetchRefused) -> GateVerdict:
    if error.transient:
        raise GateUnavailable(error.code) from error
    return GateVerdict(GateResult.REJECTED, f"unreadable output: {error.code}")


def _judge(services: Services, gate: "_Gate", outputs: Outputs) -> GateVerdict:
    try:
        gate.check(outputs)
    except _Misplaced as error:
        return GateVerdict(GateResult.MISPLACED, str(error))
    except _Disagrees as error:
        return GateVerdict(GateResult.DISAGREES, str(error))
    except (_Rejected, PlaylistInvalid) as error:
        return GateVerdict(GateResult.REJECTED, str(error))
    except MediaRefused as error:
        if services.host.judge(services.tools) is not None:
            raise GateUnavailable(HOST_UNFIT) from error
        return GateVerdict(GateResult.REJECTED, error.detail)  # its code is for sources
    except OSError as error:
        services.host.judge(services.tools)
        raise GateUnavailable(HOST_UNFIT) from error
    return GateVerdict(
        GateResult.PASSED,
        storyboard_fault=gate.fault_of(outputs.storyboard_url),
        captions=tuple(gate.captions),
        captions_fault=gate.captions_fault,
        master=gate.master,
    )


class _Gate:
    def __init__(
        self,
        services: Services,
        expected_sec: float,
        sign: Sign | None,
        stored: StoredReader | None = None,
    ) -> None:
        self._services = services
        self._sign = sign
        self._stored = stored
        self._expected_sec = expected_sec
        self._expires_at = datetime.now(UTC) + timedelta(minutes=15)
        self.captions: list[Caption] = []
        self.master: Master | None = None
        self._captions_faults: list[str] = []

    @property
    def captions_fault(self) -> str | None:
        """The faults of captions, for people; None if there is none."""
        return "; ".join(self._captions_faults)[:MAX_FAULT_CHARS] or None

    def from_storage(self) -> "_Gate":
        """Return a gate that reads our own outputs in the storage."""
        stored = StoredReader(self._services.storage)
        return _Gate(self._services, self._expected_sec, self._sign, stored)

    def check(self, outputs: Outputs) -> None:
        """Check every output but the storyboard."""
        self.check_manifest(outputs.manifest_url)
        if outputs.fallback_url is not None:
            self.check_fallback(outputs.fallback_url)
        if outputs.poster_url is not None:
            self.check_poster(outputs.poster_url)
        if outputs.thumbnail_url is not None:
            self.check_thumbnail(outputs.thumbnail_url)

    def check_manifest(self, address: str) -> None:
        url, fetcher = self._reach(address, OutputKind.MANIFEST)
        self.master = master = parse_master(_text(fetcher, url))
        self._require_in_place(address, url, master.addresses)
        _require(bool(master.variants), "the manifest names no variant")
        for variant in master.variants:
            self._check_variant(fetcher, address, urljoin(url, variant.uri))
        unread = len(master.subtitles) - MAX_CAPTIONS
        if unread > 0:
            self._captions_faults.append(f"{unread} more than {MAX_CAPTIONS} are not checked")
        for subtitles in master.subtitles[:MAX_CAPTIONS]:
            self._check_captions(fetcher, address, urljoin(url, subtitles.uri), subtitles)

    def _check_captions(
        self, fetcher: OutputReader, address: str, url: str, subtitles: Subtitles
    ) -> None:
        """List captions that are WebVTT. A fault rejects nothing, but a false address does."""
        if not subtitles.uri or not subtitles.label:
            self._captions_faults.append(f"{subtitles.label}: without a name or an address")
            return
        try:
            playlist = parse_media(_text(fetcher, url))
            self._require_in_place(address, url, playlist.addresses)
            for uri in _ends_of(playlist):
                found = fetcher.get(urljoin(url, uri), max_bytes=MAX_CAPTION_BYTES)
                check_captions(found.body)
        except (PlaylistInvalid, CaptionsInvalid) as error:
            self._captions_faults.append(f"{subtitles.label}: {error}")
        except FetchRefused as error:
            if error.transient:
                raise
            self._captions_faults.append(f"{subtitles.label}: unreadable: {error.code}")
        else:
            self.captions.append(Caption(subtitles.label, subtitles.language))

    def _check_variant(self, fetcher: OutputReader, address: str, url: str) -> None:
        playlist = parse_media(_text(fetcher, url))
        self._require_in_place(address, url, playlist.addresses)
        _require(playlist.ended, "a variant has no end")
        _require(bool(playlist.segments), "a variant has no segment")
        self._require_duration(playlist.duration_sec, "a variant")
        for uri in _ends_of(playlist):
            _require(bool(fetcher.read(urljoin(url, uri), 0, 1)), "a segment is empty")

    def check_fallback(self, address: str) -> None:
        url, fetcher = self._reach(address, OutputKind.FALLBACK)
        remote = fetcher.size_of(url)
        size = remote.size_bytes or 0
        _require(size > 0, "the fallback is empty")
        _require(remote.accepts_ranges, "the fallback does not seek")
        boxes = walk(lambda offset, length: fetcher.read(url, offset, length), size)
        _require(is_faststart(boxes), "the fallback does not start fast")
        _require(len(fetcher.read(url, size // 2, 1)) == 1, "the fallback does not seek")

    def check_poster(self, address: str) -> None:
        url, fetcher = self._reach(address, OutputKind.POSTER)
        with _picture(fetcher, url) as path:
            _require(not is_black(luma_of(path, self._services.tools)), "the poster is black")

    def check_thumbnail(self, address: str) -> None:
        url, fetcher = self._reach(address, OutputKind.THUMBNAIL)
        _require(bool(fetcher.read(url, 0, 1)), "the thumbnail is empty")

    def fault_of(self, storyboard: str | None) -> str | None:
        """Return the fault of a storyboard; None if it has none or is absent."""
        if storyboard is None:
            return None
        try:
            self._check_storyboard(storyboard)
        except MediaRefused as error:
            return error.detail
        except (_Rejected, StoryboardInvalid) as error:
            return str(error)
        except FetchRefused as error:
            return f"unreadable: {error.code}"
        return None

    def _check_storyboard(self, address: str) -> None:
        url, fetcher = self._reach(address, OutputKind.STORYBOARD)
        cues = parse_cues(_text(fetcher, url))
        self._require_within(cues[-1].end_sec)
        [uri, *others] = {cue.uri for cue in cues}
        _require(not others, "it has more than one sheet")
        beside = (
            _lies_beside(uri, url)
            if key_of(address) is not None
            else self._is_reachable(urljoin(url, uri))
        )
        _require(beside, "its sheet lies elsewhere")
        with _picture(fetcher, urljoin(url, uri)) as path:
            width, height = size_of(path, self._services.tools)
        within = all(cue.lies_within(width, height) for cue in cues)
        _require(within, "a cue lies outside of its sheet")

    def _reach(self, address: str, kind: OutputKind) -> tuple[str, OutputReader]:
        key = key_of(address)
        if key is not None and self._stored is not None:
            return key, self._stored
        if key is None:
            signed = self._sign(address, kind, self._expires_at) if self._sign else address
            return signed, self._services.fetcher
        url = signed_url(
            self._services.settings.media_urls,
            key,
            expires_at=self._expires_at,
            holder=owner_of_output(key) or NO_HOLDER,
        )
        return url, self._services.own_fetcher

    def _require_in_place(self, address: str, url: str, named: Iterable[str]) -> None:
        """Require every address of a playlist to lie where the outputs may, before it is followed.

        In our own storage that is the playlist's folder: we read from inside our own network, and a
        file elsewhere could change after the check. A vendor names any of its hosts, or climbs.
        """
        is_ours = key_of(address) is not None
        for uri in named:
            stays = not leaves_folder(uri) if is_ours else self._is_reachable(urljoin(url, uri))
            if not stays or is_ambiguous(uri):
                raise _Misplaced(f"{uri[:200]!r} leads away")

    def _is_reachable(self, url: str) -> bool:
        try:
            self._services.fetcher.check(url)
        except FetchRefused:
            return False
        return True

    @property
    def _tolerance_sec(self) -> float:
        return max(DURATION_TOLERANCE_SEC, DURATION_TOLERANCE * self._expected_sec)

    def _require_within(self, end_sec: float) -> None:
        _require(
            end_sec <= self._expected_sec + self._tolerance_sec,
            f"it ends at {end_sec:.2f} s, the source at {self._expected_sec:.2f} s",
        )

    def _require_duration(self, duration_sec: float, name: str) -> None:
        if abs(duration_sec - self._expected_sec) > self._tolerance_sec:
            rule = f"{name} lasts {duration_sec:.2f} s, the source {self._expected_sec:.2f} s"
            raise _Disagrees(rule)


def _text(fetcher: OutputReader, url: str) -> str:
    return fetcher.get(url, max_bytes=PLAYLIST_MAX_BYTES).body.decode("utf-8", "replace")


@contextmanager
def _picture(fetcher: OutputReader, url: str) -> Iterator[Path]:
    image = fetcher.get(url, max_bytes=IMAGE_MAX_BYTES)
    with TemporaryDirectory(prefix="khronika-gate-") as folder:
        path = Path(folder) / "picture"
        path.write_bytes(image.body)
        yield path


def _lies_beside(uri: str, url: str) -> bool:
    """Return true if the address lies in the folder of the file at ``url``, or below it.

    A storyboard may name its sheet by an absolute address, as vendors do.
    """
    return not leaves_folder(uri.removeprefix(urljoin(url, ".")))


def _ends_of(playlist: MediaPlaylist) -> list[str]:
    ends = [playlist.segments[0].uri, playlist.segments[-1].uri]
    return [playlist.map_uri, *ends] if playlist.map_uri else ends


def _require(condition: bool, rule: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise _Rejected(rule)
