import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.media import sample
from pipeline.media.probe import probe
from pipeline.media.sample import MIB, sample_source
from pipeline.media.source_limits import MediaRefused
from pipeline.media.tools import Tools
from tests import clips
from tests.clips import Kind


class Reader:
    """Reads a file as a remote one is read, and keeps account of it."""

    def __init__(self, path: Path, size_bytes: int | None = None) -> None:
        self.path = path
        self.size_bytes = path.stat().st_size if size_bytes is None else size_bytes
        self.lengths: list[int] = []

    def __call__(self, offset: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(offset)
            content = file.read(length)
        self.lengths.append(len(content))
        return content


@pytest.mark.parametrize("kind", clips.ACCEPTED, ids=lambda kind: kind.__name__)
def test_a_sample_is_measured_as_the_whole_file_is(
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

    sample_source(Reader(clip), clip.stat().st_size, tmp_path / "sample")

    assert probe(tmp_path / "sample", tools) == probe(clip, tools)


def gigabytes(clip: Path, kind: bytes, into: Path) -> Path:
    """The clip and a box of 3 GB that its index does not name, sparse on the disk."""
    extra = 3 * 1024 * MIB
    content = clip.read_bytes()
    with into.open("wb") as file:
        file.write(content + (1).to_bytes(4) + kind + extra.to_bytes(8))
        file.truncate(len(content) + extra)
    return into


@pytest.mark.parametrize("kind", [b"mdat", b"free"])
def test_gigabytes_are_sampled_with_a_few_megabytes(
    kind: bytes,
    make: Callable[[Kind], Path],
    tools: Tools,
    tmp_path: Path,
) -> None:
    read = Reader(gigabytes(make(clips.faststart), kind, tmp_path / "large.mp4"))

    sample_source(read, read.size_bytes, tmp_path / "sample")

    assert sum(read.lengths) < 6 * MIB
    assert len(read.lengths) < 8
    assert (tmp_path / "sample").stat().st_size == read.size_bytes
    assert (tmp_path / "sample").stat().st_blocks * 512 < 6 * MIB
    assert probe(tmp_path / "sample", tools).duration_sec == pytest.approx(2)


@pytest.fixture(scope="module")
def fragments(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds in 250 fragments, and so in more boxes than are walked through."""
    path = tmp_path_factory.mktemp("fragments") / "fragments.mp4"
    x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "1", "-pix_fmt", "yuv420p")
    subprocess.run(
        [
            *(tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=10"),
            *(*x264, "-movflags", "frag_keyframe+empty_moov", str(path)),
        ],
        check=True,
    )
    return path


def test_many_fragments_are_measured_by_the_first_and_the_last(
    fragments: Path, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "_LAST_FRAGMENTS_BYTES", 64 * 1024)
    read = Reader(fragments)

    sample_source(read, read.size_bytes, tmp_path / "sample")

    assert (tmp_path / "sample").stat().st_size == read.size_bytes
    assert probe(tmp_path / "sample", tools).duration_sec == probe(fragments, tools).duration_sec


def test_a_file_that_is_cut_off_in_one_of_many_fragments_is_refused(
    fragments: Path, tmp_path: Path
) -> None:
    with pytest.raises(MediaRefused) as refusal:
        sample_source(Reader(fragments), fragments.stat().st_size - 1000, tmp_path / "sample")
    assert refusal.value.code == "source_corrupt"


def test_the_media_of_fragments_is_no_index(
    fragments: Path, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "MAX_SAMPLE_BYTES", fragments.stat().st_size // 2)
    monkeypatch.setattr(sample, "_MEDIA_HEADS_BYTES", 64 * 1024)
    read = Reader(fragments)
    sample_source(read, read.size_bytes, tmp_path / "sample")
    assert probe(tmp_path / "sample", tools).duration_sec == probe(fragments, tools).duration_sec


def test_an_index_is_read_in_slices(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.write(b"\0\0\0\x10ftypisom\0\0\0\0" + (20 * MIB).to_bytes(4) + b"moov")
        file.truncate(20 * MIB + 16)
    read = Reader(source)

    sample_source(read, read.size_bytes, tmp_path / "sample")

    assert max(read.lengths) <= 4 * MIB
    assert (tmp_path / "sample").read_bytes() == source.read_bytes()


def test_an_index_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.write(b"\0\0\0\x10ftypisom\0\0\0\0" + (65 * MIB).to_bytes(4) + b"moov")
        file.truncate(65 * MIB + 16)
    read = Reader(source)

    with pytest.raises(MediaRefused) as refusal:
        sample_source(read, read.size_bytes, tmp_path / "sample")

    assert refusal.value.code == "source_too_large"
    assert sum(read.lengths) < 4 * MIB


@pytest.mark.parametrize("kind", clips.REFUSED, ids=lambda kind: kind.__name__)
def test_what_a_probe_refuses_is_refused_as_a_sample_too(
    kind: Kind,
    make: Callable[[Kind], Path],
    tools: Tools,
    tmp_path: Path,
) -> None:
    clip = make(kind)

    with pytest.raises(MediaRefused) as refusal:  # noqa: PT012  # either step may refuse
        sample_source(Reader(clip), clip.stat().st_size, tmp_path / "sample")
        probe(tmp_path / "sample", tools)

    assert refusal.value.code == clips.REFUSED[kind]


def test_what_the_reader_raises_passes_through(tmp_path: Path) -> None:
    def broken(offset: int, length: int) -> bytes:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        sample_source(broken, 1000, tmp_path / "sample")
