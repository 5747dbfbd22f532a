"""A video that is whole and cannot be decoded is not called damaged."""

import subprocess
from pathlib import Path

import pytest

from pipeline.domain.failures import FAILURES
from pipeline.media.probe import probe
from pipeline.media.tools import Tools
from transcoder.encode.encode_errors import EncodeFailed
from transcoder.encode.encode_source import EncodeOptions, encode_source


def test_a_codec_without_a_decoder_says_so_and_how_to_go_on(tools: Tools, tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=1")
    codec = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
    subprocess.run([tools.ffmpeg, "-v", "error", *picture, *codec, str(source)], check=True)
    content = source.read_bytes()
    assert content.count(b"avc1") == 2  # a brand of the file, and the picture's format
    # EVC, which ffmpeg knows by its name and decodes only with a library that no build here has.
    source.write_bytes(content.replace(b"avc1", b"evc1").replace(b"avcC", b"free"))
    work = tmp_path / "work"
    work.mkdir()

    with pytest.raises(EncodeFailed) as failure:
        encode_source(
            source,
            probe(source, tools),
            work,
            EncodeOptions(preset="ultrafast"),
            tools,
            on_progress=lambda *_: None,
            cancelled=lambda: False,
        )

    assert (failure.value.code, failure.value.retryable) == ("undecodable", False)
    assert "damaged" not in FAILURES["undecodable"].message
    assert "H.264" in FAILURES["undecodable"].next_step
