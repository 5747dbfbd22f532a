"""Files that must take no server down, judged as the API and the worker judge them."""

import multiprocessing
import resource
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import pytest

from pipeline.media.confinement import MIB
from pipeline.media.probe import probe
from pipeline.media.sample import sample_source
from pipeline.media.source_limits import Limits, MediaRefused, check_limits
from pipeline.media.tools import Tools
from tests import clips
from tests.clips import Kind
from tests.hostile.mp4 import MP4
from tests.hostile.others import OTHERS

LIMITS = Limits(max_bytes=5 * 1024**3, max_duration_sec=4 * 3600)
MOST_RESIDENT_BYTES = 512 * MIB
"""A quarter of the address space that a probe may reserve."""

EXPECTED = {name: code for corpus in (MP4, OTHERS) for name, (_, code) in corpus.items()}


@pytest.fixture
def hostile(tmp_path: Path, make: Callable[[Kind], Path]) -> Callable[[str], Path]:
    """Builds a file of the corpus by its name."""

    def build(name: str) -> Path:
        path = tmp_path / "source"
        if name in MP4:
            path.write_bytes(MP4[name][0](make(clips.silent).read_bytes()))
        else:
            path.write_bytes(OTHERS[name][0]())
        return path

    return build


@pytest.fixture(scope="module")
def apart() -> Iterator[Executor]:
    """A process whose only children are those that judge: their memory is asked for together."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize("name", EXPECTED)
def test_a_hostile_file_is_judged_in_bounded_memory(
    name: str, hostile: Callable[[str], Path], tools: Tools, apart: Executor
) -> None:
    judged, resident_bytes = apart.submit(verdict_and_memory, hostile(name), tools).result()

    assert judged == EXPECTED[name]
    assert 0 < resident_bytes < MOST_RESIDENT_BYTES


@pytest.mark.parametrize("name", EXPECTED)
def test_a_hostile_file_at_an_address_is_judged_by_a_sample_alike(
    name: str, hostile: Callable[[str], Path], tmp_path: Path, tools: Tools
) -> None:
    content, sample = hostile(name).read_bytes(), tmp_path / "sample"

    def read(offset: int, length: int) -> bytes:
        return content[offset : offset + length]

    try:
        sample_source(read, len(content), sample)
    except MediaRefused as refusal:
        judged = refusal.code.value
    else:
        judged = verdict(sample, tools)

    assert judged == EXPECTED[name]


def test_an_encrypted_video_is_refused_before_anything_is_decoded(
    make: Callable[[Kind], Path], tmp_path: Path, tools: Tools
) -> None:
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "7" * 32)
    command = [tools.ffmpeg, "-v", "error", "-i", str(make(clips.silent)), "-c", "copy", *key]
    path = tmp_path / "encrypted.mp4"
    subprocess.run([*command, "-encryption_kid", "a" * 32, str(path)], check=True)

    assert verdict(path, tools) == "source_encrypted"


def verdict(path: Path, tools: Tools) -> str:
    try:
        check_limits(probe(path, tools, timeout_sec=20), LIMITS)
    except MediaRefused as refusal:
        return refusal.code.value
    return "accepted"


def verdict_and_memory(path: Path, tools: Tools) -> tuple[str, int]:
    """The verdict, and the most that any child of this process ever held."""
    judged = verdict(path, tools)
    # Linux counts in kilobytes.
    return judged, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
