"""Samples of files that arrive in one piece."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.media import sample
from pipeline.media.arriving_sample import sample_arriving
from pipeline.media.probe import probe
from pipeline.media.source_limits import MediaRefused
from pipeline.media.tools import Tools
from tests import clips
from tests.clips import Kind
from tests.unit.pipeline.media.test_sample import gigabytes

PIECE_BYTES = 10_000
MIB = 1024 * 1024


def pieces(path: Path, taken: list[int] | None = None) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            if taken is not None:
                taken.append(len(piece))
            yield piece


@pytest.mark.parametrize("kind", clips.ACCEPTED, ids=lambda kind: kind.__name__)
def test_what_arrives_is_measured_as_the_whole_file_is(
    kind: Kind,
    make: Callable[[Kind], Path],
    tools: Tools,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sample, "MEDIA_HEAD_BYTES", 32 * 1024)  # the clips are small
    monkeypatch.setattr(sample, "HEAD_BYTES", 256 * 1024)
    monkeypatch.setattr(sample, "TAIL_BYTES", 64 * 1024)
    clip = make(kind)
    for size_bytes in (clip.stat().st_size, None):
        sample_arriving(pieces(clip), size_bytes, tmp_path / "sample")
        assert probe(tmp_path / "sample", tools) == probe(clip, tools)


def test_of_gigabytes_with_the_index_in_front_megabytes_are_read(
    make: Callable[[Kind], Path], tools: Tools, tmp_path: Path
) -> None:
    clip = make(clips.faststart)
    whole = gigabytes(clip, b"mdat", tmp_path / "whole")
    taken: list[int] = []
    sample_arriving(pieces(whole, taken), whole.stat().st_size, tmp_path / "sample")
    assert sum(taken) < 4 * MIB
    assert (tmp_path / "sample").stat().st_size == whole.stat().st_size
    assert probe(tmp_path / "sample", tools) == probe(whole, tools)


def test_of_gigabytes_with_the_index_at_the_end_megabytes_are_written(
    make: Callable[[Kind], Path], tools: Tools, tmp_path: Path
) -> None:
    clip = make(clips.widescreen).read_bytes()
    index = clip.index(b"moov") - 4
    assert clip.index(b"mdat") < index
    free = (64 * MIB).to_bytes(4) + b"mdat" + bytes(64 * MIB - 8)
    whole = [clip[:index], *(free[at : at + MIB] for at in range(0, len(free), MIB)), clip[index:]]
    for size_bytes in (sum(map(len, whole)), None):
        sample_arriving(iter(whole), size_bytes, tmp_path / "sample")
        assert probe(tmp_path / "sample", tools).duration_sec == pytest.approx(2, abs=0.1)
        assert (tmp_path / "sample").stat().st_size == sum(map(len, whole))
        assert (tmp_path / "sample").stat().st_blocks * 512 < 4 * MIB


def test_nothing_and_what_is_no_video_is_refused(tmp_path: Path) -> None:
    for content, code in ((b"", "source_empty"), (b"x" * 100, "unsupported_media")):
        with pytest.raises(MediaRefused) as refusal:
            sample_arriving(iter([content]), None, tmp_path / "sample")
        assert refusal.value.code == code
