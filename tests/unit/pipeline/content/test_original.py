from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.content.original import original_key
from pipeline.domain.failures import FAILURES

ALLOWED: Any = SimpleNamespace(original_playback=True)
REFUSED: Any = SimpleNamespace(original_playback=False)
KEY = "original/ana/p/u/source.mp4"
ORIGINAL = {
    "address": f"storage:{KEY}",
    "error_code": "encode_failed",
    "container": "mp4",
    "video_codec": "h264",
    "pixel_format": "yuv420p",
    "audio_codec": "aac",
}


def test_a_source_that_browsers_play_stands_in_where_the_operator_says_so() -> None:
    assert original_key(ORIGINAL, ALLOWED) == KEY
    assert original_key(ORIGINAL, REFUSED) is None


def test_without_the_rows_leave_there_is_none() -> None:
    assert original_key(None, ALLOWED) is None


@pytest.mark.parametrize("code", sorted(FAILURES))
def test_a_source_at_fault_never_stands_in(code: str) -> None:
    stands_in = original_key(ORIGINAL | {"error_code": code}, ALLOWED) is not None

    assert stands_in is not FAILURES[code].refuses_source


def test_a_source_that_browsers_do_not_play_never_stands_in() -> None:
    assert original_key(ORIGINAL | {"video_codec": "hevc"}, ALLOWED) is None


def test_a_source_that_lies_elsewhere_never_stands_in() -> None:
    elsewhere = {"address": "https://videos.example/a.mp4"}

    assert original_key(ORIGINAL | elsewhere, ALLOWED) is None
