import pytest

from pipeline.media.browsers import plays_as_it_is

MP4 = {
    "container": "mp4",
    "video_codec": "h264",
    "pixel_format": "yuv420p",
    "audio_codec": "aac",
}
WEBM = {
    "container": "webm",
    "video_codec": "vp9",
    "pixel_format": "yuv420p",
    "audio_codec": "opus",
}


@pytest.mark.parametrize(
    "facts",
    [
        MP4,
        MP4 | {"audio_codec": None},
        MP4 | {"pixel_format": "yuvj420p"},
        WEBM,
        WEBM | {"video_codec": "vp8", "audio_codec": "vorbis"},
        WEBM | {"video_codec": "av1", "audio_codec": None},
    ],
)
def test_what_every_browser_plays_plays(facts: dict[str, str | None]) -> None:
    assert plays_as_it_is(facts)


@pytest.mark.parametrize(
    "facts",
    [
        MP4 | {"container": "mov"},
        MP4 | {"container": "matroska"},
        MP4 | {"container": None},
        MP4 | {"video_codec": "hevc"},
        MP4 | {"video_codec": "vp9"},
        MP4 | {"pixel_format": "yuv420p10le"},
        MP4 | {"pixel_format": "yuv444p"},
        MP4 | {"audio_codec": "opus"},
        MP4 | {"audio_codec": "ac3"},
        WEBM | {"audio_codec": "aac"},
        WEBM | {"video_codec": "h264"},
        WEBM | {"pixel_format": "yuv420p10le"},
        {},
    ],
)
def test_what_some_browser_does_not_play_does_not(facts: dict[str, str | None]) -> None:
    assert not plays_as_it_is(facts)
