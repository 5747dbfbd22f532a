"""Hostile files that pass the probe: each encode succeeds or fails with a code."""

import multiprocessing
import resource
import subprocess
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import pytest

from pipeline.media.confinement import MIB
from pipeline.media.probe import probe
from pipeline.media.tools import Tools
from tests import clips
from tests.hostile.mp4 import MP4
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.encode_source import Encoded, EncodeOptions, encode_source

WELL = None
MOST_RESIDENT_BYTES = 512 * MIB
"""A twelfth of the address space that an encode may reserve: a small video needs little, with
any header."""

ENDS = {
    "endless_duration": WELL,
    "garbage_edits": "source_corrupt",
    "rotation_of_garbage": WELL,
    "pixels_one_wide_65535_high": WELL,
    "two_billion_frames_of_one_byte": "source_corrupt",
    "two_billion_chunks": "encode_failed",
    "media_in_another_file": WELL,
    "a_title_of_megabytes": WELL,
    "a_title_of_nulls": WELL,
    "ten_thousand_chapters": WELL,
    "giant_track_header": WELL,
    "no_clock": WELL,
    "index_of_size_zero": WELL,
}
"""Outcome of the encode of each file of the corpus that passes the probe."""


@pytest.fixture(scope="module")
def apart() -> Iterator[Executor]:
    """Start a process whose only children are encoders, so that their memory can be measured."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize(("name", "code"), ENDS.items(), ids=ENDS)
def test_what_passes_the_probe_ends_well_or_with_a_code_in_bounded_memory(
    name: str, code: str | None, tmp_path: Path, tools: Tools, apart: Executor
) -> None:
    source = tmp_path / "source"
    source.write_bytes(MP4[name][0](clips.silent(tmp_path, tools).read_bytes()))

    ended, resident_bytes = apart.submit(
        outcome_and_memory, source, tmp_path / "work", tools
    ).result()

    assert ended == code
    assert 0 < resident_bytes < MOST_RESIDENT_BYTES


def test_every_file_that_passes_the_probe_is_encoded() -> None:
    assert set(ENDS) == {name for name, (_, verdict) in MP4.items() if verdict == "accepted"}


def test_a_stream_that_grows_to_a_giant_is_encoded_without_it(tmp_path: Path, tools: Tools) -> None:
    parts = []
    for size, frames in (("64x64", 25), ("12000x4000", 1)):
        part = tmp_path / f"{size}.ts"
        picture = ("-f", "lavfi", "-i", f"color=size={size}:rate=25", "-frames:v", str(frames))
        options = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", str(part))
        subprocess.run([tools.ffmpeg, "-v", "error", *picture, *options], check=True)
        parts.append(part.read_bytes())
    source = tmp_path / "growing.ts"
    source.write_bytes(b"".join(parts))

    assert outcome(source, tmp_path / "work", tools) is WELL


def outcome(source: Path, work: Path, tools: Tools) -> str | None:
    work.mkdir()
    try:
        encoded: Encoded = encode_source(
            source,
            probe(source, tools),
            work,
            EncodeOptions(preset="ultrafast", stall_sec=30),
            tools,
            on_progress=lambda *_: None,
            cancelled=lambda: False,
        )
    except EncodeFailed as failure:
        return failure.code
    assert max(rendition.width for rendition in encoded.renditions) <= 1920
    return WELL


def outcome_and_memory(source: Path, work: Path, tools: Tools) -> tuple[str | None, int]:
    """Return the outcome, and the largest resident size of any child of this process."""
    ended = outcome(source, work, tools)
    # Linux counts in kilobytes.
    return ended, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
