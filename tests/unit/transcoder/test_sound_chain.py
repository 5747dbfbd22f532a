from collections.abc import Callable

import pytest

from pipeline.media.source_info import SourceInfo
from transcoder.encode.sound_chain import sound_chain

Make = Callable[..., SourceInfo]


@pytest.mark.parametrize(
    ("channels", "layout", "pan"),
    [
        (1, "mono", "pan=stereo|c0=c0|c1=c0,"),
        (1, "1 channels (FL)", "pan=stereo|c0=c0|c1=c0,"),
        (4, "ambisonic 1", "pan=stereo|c0=0.5*c0+0.5*c1|c1=0.5*c0+-0.5*c1,"),
        (6, "ambisonic 1+stereo", "pan=stereo|c0=0.5*c0+0.5*c1+c4|c1=0.5*c0+-0.5*c1+c5,"),
        (9, None, "pan=stereo|c0=c0+0.5*c2+0.5*c4+0.5*c6+0.5*c8|c1=c1+0.5*c3+0.5*c5+0.5*c7,"),
        (3, "3 channels (FL+LFE+FR)", "pan=stereo|c0=1.0*c0|c1=1.0*c2,"),
        (2, "2 channels (FL+FC)", "pan=stereo|c0=1.0*c0+0.707*c1|c1=0.707*c1,"),
        (2, "2 channels (FLC+BR)", "pan=stereo|c0=0.707*c0|c1=0.707*c1,"),
        (2, "2 channels (BL+SL)", "pan=stereo|c0=c0+c1|c1=c0+c1,"),
        (2, "stereo", ""),
        (2, None, ""),
        (6, "5.1", ""),
        (6, None, ""),
    ],
    ids=str,
)
def test_layouts_that_the_resampler_cannot_map_are_mapped_before_it(
    info: Make, channels: int, layout: str | None, pan: str
) -> None:
    chain = sound_chain(info(audio_channels=channels, audio_layout=layout), 1)

    assert chain.startswith(f"[0:a:0]{pan}aresample=48000")


def test_the_chosen_track_is_taken(info: Make) -> None:
    assert sound_chain(info(audio_index=2), 1).startswith("[0:a:2]")


def test_only_a_sum_of_channels_is_limited_and_loudness_only_on_demand(info: Make) -> None:
    assert "alimiter" not in sound_chain(info(), 1)
    assert "alimiter" in sound_chain(info(audio_channels=6, audio_layout="5.1"), 1)
    assert "loudnorm" not in sound_chain(info(), 1)
    assert "loudnorm=I=-16:" in sound_chain(info(), 1, loudness_lufs=-16)
