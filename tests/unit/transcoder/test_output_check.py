"""What is published of an encode: known names of known kinds, and nothing else."""

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline.media.confinement import Reach
from tests.unit.transcoder.conftest import PLAIN
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.encode_limits import encode_confinement, outputs_bound_bytes
from transcoder.encode.encode_source import Encoded
from transcoder.encode.ffmpeg_runner import FfmpegRunner
from transcoder.encode.measured_rendition import MeasuredRendition
from transcoder.encode.output_check import check_outputs
from transcoder.encode.output_meter import OutputMeter, folder_bytes

MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nseg_00000.m4s\n#EXT-X-ENDLIST\n"
FILES = {
    "outputs/master.m3u8": b"#EXTM3U\n",
    "outputs/720p/index.m3u8": MEDIA.encode(),
    "outputs/720p/init.mp4": b"\0\0\0\x08ftyp",
    "outputs/720p/seg_00000.m4s": b"\0\0\0\x08styp",
    "outputs/fallback/video.mp4": b"\0\0\0\x08ftyp",
    "pictures/poster.jpg": b"\xff\xd8\xff\xe0",
    "pictures/thumb.jpg": b"\xff\xd8\xff\xe0",
    "pictures/storyboard.jpg": b"\xff\xd8\xff\xe0",
    "pictures/storyboard.vtt": b"WEBVTT\n",
}
SEGMENT = "outputs/720p/seg_00000.m4s"


@pytest.fixture
def encoded(tmp_path: Path) -> Encoded:
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    rendition = MeasuredRendition("720p", 1280, 720, Fraction(25), 1, 1, "avc1.64001F", 6.0)
    return Encoded(tmp_path / "outputs", tmp_path / "pictures", (rendition,), 6.0, True, PLAIN)


def replaced(root: Path, name: str, make: Callable[[Path], object]) -> None:
    (root / name).unlink()
    make(root / name)


def copied(path: Path, name: str) -> None:
    path.with_name(name).write_bytes(path.read_bytes())


def grow(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(encode_confinement(PLAIN).file_bytes + 1)


ATTACKS: dict[str, Callable[[Path], object]] = {
    "a file more": lambda root: (root / "outputs/stolen.txt").write_text("stolen"),
    "a hidden file": lambda root: (root / "pictures/.stolen").write_text("stolen"),
    "a segment that no playlist names": lambda root: (
        root / "outputs/720p/seg_00001.m4s"
    ).write_bytes(FILES[SEGMENT]),
    "a file missing": lambda root: (root / SEGMENT).unlink(),
    "an empty file": lambda root: (root / SEGMENT).write_bytes(b""),
    "a secret for a segment": lambda root: (root / SEGMENT).write_text('{"secret": 1}'),
    "a secret for a picture": lambda root: (root / "pictures/thumb.jpg").write_text("root:x:0:0"),
    "a segment too large": lambda root: grow(root / SEGMENT),
    "a link": lambda root: replaced(root, SEGMENT, lambda path: path.symlink_to("init.mp4")),
    "a second name": lambda root: replaced(
        root, SEGMENT, lambda path: path.hardlink_to(root / "outputs/720p/init.mp4")
    ),
    "a pipe": lambda root: replaced(root, SEGMENT, os.mkfifo),
    "a link to a folder": lambda root: (root / "outputs/more").symlink_to("/etc"),
    "a playlist that leads away": lambda root: (root / "outputs/720p/index.m3u8").write_text(
        MEDIA.replace("seg_00000.m4s", "../master.m3u8")
    ),
}


def test_an_encode_is_published_as_it_is(encoded: Encoded) -> None:
    check_outputs(encoded)


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_is_published_of_an_encode_with(
    name: str, encoded: Encoded, tmp_path: Path
) -> None:
    ATTACKS[name](tmp_path)

    with pytest.raises(EncodeFailed) as failure:
        check_outputs(encoded)

    assert failure.value.code == "encoder_failed"


def test_files_that_grow_too_large_together_end_their_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transcoder.encode.encode_limits._OUTPUTS_BASE_BYTES", 10_000)
    monkeypatch.setattr("transcoder.encode.encode_limits._OUTPUTS_BYTES_PER_SEC", 0)
    script = (
        "import time\n"
        f"for number in range(20): open(f'{tmp_path}/{{number}}', 'wb').write(bytes(1000))\n"
        "while True: print('out_time_us=1000000\\nprogress=continue', flush=True); time.sleep(0.1)"
    )
    runner = FfmpegRunner(PLAIN, tmp_path, lambda: False, stall_sec=60)

    with pytest.raises(EncodeFailed) as failure:
        runner.run([os.path.realpath(sys.executable), "-c", script], Reach(writes=tmp_path))

    assert (failure.value.code, failure.value.retryable) == ("encode_failed", False)


def test_a_folder_is_measured_at_most_a_twentieth_of_the_time(tmp_path: Path) -> None:
    instants = iter([0.0, 0.0, 1.0, 20.0, 22.0, 23.0])
    meter = OutputMeter(tmp_path, 0, lambda: next(instants))
    meter.check()  # takes a second
    (tmp_path / "file").write_bytes(b"x")
    meter.check()  # at 20 s, and the pause ends at 21 s

    with pytest.raises(EncodeFailed):
        meter.check()


def test_a_file_with_holes_counts_as_large_as_it_says(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1_000_000)

    assert folder_bytes(tmp_path) == 1_000_000


def test_empty_files_use_up_room_too(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).touch()

    assert folder_bytes(tmp_path) == 10 * 4096


def test_the_bound_of_all_outputs_holds_the_largest_single_one() -> None:
    assert outputs_bound_bytes(PLAIN) > encode_confinement(PLAIN).file_bytes
