"""Hostile files that pass the probe: each encode ends, well or with a code."""

import subprocess
from pathlib import Path

import pytest

from pipeline.media.probe import probe
from pipeline.media.tools import Tools
from tests import clips
from tests.hostile.mp4 import MP4
from transcoder.encode.errors import EncodeFailed
from transcoder.encode.produce import Encoded, EncodeOptions, encode

WELL = None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("endless_duration", WELL),
        ("garbage_edits", "source_corrupt"),
        ("rotation_of_garbage", WELL),
        ("pixels_one_wide_65535_high", WELL),
        ("two_billion_frames_of_one_byte", "source_corrupt"),
        ("two_billion_chunks", "encode_failed"),
        ("media_in_another_file", WELL),
        ("a_title_of_megabytes", WELL),
    ],
)
def test_what_passes_the_probe_ends_well_or_with_a_code(
    name: str, code: str | None, tmp_path: Path, tools: Tools
) -> None:
    source = tmp_path / "source"
    source.write_bytes(MP4[name][0](clips.silent(tmp_path, tools).read_bytes()))

    assert outcome(source, tmp_path / "work", tools) == code


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
        encoded: Encoded = encode(
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
