from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.content.seen_losses import seen_losses
from pipeline.media.playlist import parse_master
from tests.unit.transcoder.conftest import PLAIN

SOURCE = PLAIN.to_json() | {"sound_tracks": 1, "picture_tracks": 1}
VARIANT = 'BANDWIDTH=1,RESOLUTION=1280x720,FRAME-RATE=25.000,CODECS="avc1.64001F,mp4a.40.2"'


def seen(source: Mapping[str, Any], variant: str = VARIANT, more: str = "") -> dict[str, str]:
    master = parse_master(f"#EXTM3U\n{more}#EXT-X-STREAM-INF:{variant}\n720p.m3u8\n")
    return {found.code.value: found.detail for found in seen_losses({**SOURCE, **source}, master)}


def test_outputs_like_their_source_lack_nothing() -> None:
    assert seen({}) == {}
    assert seen({"width": 1281, "height": 721, "frame_rate": "25001/1000"}) == {}


@pytest.mark.parametrize(
    ("source", "code", "detail"),
    [
        ({"width": 2560, "height": 1440}, "resolution_lowered", "2560x1440 to 1280x720"),
        ({"frame_rate": "60/1"}, "frame_rate_lowered", "60 to 25 frames a second"),
        ({"color_transfer": "arib-std-b67"}, "hdr_converted", "arib-std-b67 to SDR"),
        ({"subtitle_tracks": 2}, "subtitles_dropped", "0 of 2"),
        ({"audio_channels": 6}, "sound_downmixed", "6 channels to 2"),
        ({"sound_tracks": 3}, "sound_tracks_dropped", "of 3"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_loss_that_the_manifest_shows_is_named(
    source: Mapping[str, Any], code: str, detail: str
) -> None:
    assert seen(source) == {code: detail}


def test_silent_variants_of_a_source_with_sound_are_named() -> None:
    silent = VARIANT.replace(",mp4a.40.2", "")
    assert seen({}, silent) == {"sound_left_out": "aac to none"}
    assert seen({"audio_codec": None}, silent) == {}


def test_what_the_manifest_keeps_is_no_loss() -> None:
    surround = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",CHANNELS="6",URI="a.m3u8"\n'
    assert seen({"audio_channels": 6}, VARIANT, surround) == {}
    assert seen({"color_transfer": "smpte2084"}, f"{VARIANT},VIDEO-RANGE=PQ") == {}


def test_what_the_manifest_leaves_open_is_no_loss() -> None:
    assert seen({"width": 3840, "height": 2160, "frame_rate": "60/1"}, "BANDWIDTH=1") == {}
    assert seen_losses(None, None) == []
