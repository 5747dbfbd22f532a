from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import pytest

from pipeline.domain.output_warnings import WarningCode
from pipeline.media.source_info import SourceInfo
from transcoder.encode.ladder import ladder
from transcoder.encode.output_losses import LossCode, decoding_losses, planned_losses

Make = Callable[..., SourceInfo]


def losses(info: SourceInfo, rate: str = "25", most: str = "1080p") -> dict[str, str]:
    found = planned_losses(info, ladder(info.width, info.height, most), Fraction(rate))
    return {loss.code.value: loss.detail for loss in found}


def test_the_pipeline_knows_every_code() -> None:
    assert {code.value for code in LossCode} <= {code.value for code in WarningCode}


def test_a_plain_source_loses_nothing(info: Make) -> None:
    tracks = {"sound_tracks": 1, "picture_tracks": 1}
    assert losses(info(**tracks)) == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            {"audio_codec": None, "sound_tracks": 1},
            {"sound_left_out": "no track of a known codec and up to 64 channels"},
        ),
        (
            {"audio_channels": 6, "audio_layout": "5.1"},
            {"sound_downmixed": "6 channels (5.1) to 2"},
        ),
        ({"audio_channels": 16}, {"sound_downmixed": "16 channels to 2"}),
        ({"sound_tracks": 3}, {"sound_tracks_dropped": "1 of 3"}),
        ({"picture_tracks": 2}, {"picture_tracks_dropped": "1 of 2"}),
        ({"subtitle_tracks": 1}, {"subtitles_dropped": "1"}),
        ({"frame_rate": "50/1"}, {"frame_rate_lowered": "50 to 25 frames a second"}),
        (
            {"width": 2560, "height": 1440},
            {"resolution_lowered": "2560x1440 to 1920x1080"},
        ),
        ({"color_transfer": "smpte2084"}, {"hdr_converted": "smpte2084 to bt709"}),
        ({"color_primaries": "smpte432"}, {"colours_reduced": "smpte432 to bt709"}),
        ({"pixel_format": "yuva444p10le"}, {"transparency_dropped": "yuva444p10le"}),
    ],
    ids=lambda case: next(iter(case)),
)
def test_each_loss_is_named_with_its_figures(
    info: Make, source: Mapping[str, Any], expected: Mapping[str, str]
) -> None:
    assert losses(info(**source)) == expected


def test_an_odd_side_and_a_rounded_rate_are_no_loss(info: Make) -> None:
    assert losses(info(width=321, height=239)) == {}
    assert losses(info(frame_rate="2500001/100000")) == {}


def test_sound_that_cannot_be_encoded_is_named_with_the_reason(info: Make) -> None:
    surround = info(audio_channels=6, sound_tracks=1)
    found = planned_losses(surround, ladder(1280, 720), Fraction(25), "no decoder")
    assert [(loss.code, loss.detail) for loss in found] == [
        (LossCode.SOUND_LEFT_OUT, "aac: no decoder")
    ]


def test_what_a_decoder_complains_of_is_a_loss_of_its_track() -> None:
    picture = "[vist#0:0/h264 @ 0x7f] [dec:h264 @ 0x7e] Error submitting packet to decoder: Invalid"
    sound = "[aist#0:1/aac @ 0x7f] [dec:aac @ 0x7e] Error submitting packet to decoder: Invalid"
    codes = {loss.code for loss in decoding_losses(f"{picture}\n{sound}\n{picture}\n")}
    assert codes == {LossCode.FRAMES_LOST, LossCode.SOUND_CUT}
    assert decoding_losses("[hls @ 0x7f] Opening 'seg_00001.m4s' for writing") == ()
