import pytest

from pipeline.storage.content_types import content_type_of


@pytest.mark.parametrize(
    ("key", "content_type"),
    [
        ("processed/1/1/master.m3u8", "application/vnd.apple.mpegurl"),
        ("processed/1/1/720p/init.mp4", "video/mp4"),
        ("processed/1/1/720p/seg_00000.m4s", "video/mp4"),
        ("posters/1/1/poster.jpg", "image/jpeg"),
        ("a/captions.vtt", "text/vtt"),
        ("original/CLIP.MOV", "video/quicktime"),
        ("original/page.html", "application/octet-stream"),
        ("original/no_suffix", "application/octet-stream"),
        ("a.mp4/b", "application/octet-stream"),
    ],
)
def test_the_suffix_of_a_key_tells_its_type(key: str, content_type: str) -> None:
    assert content_type_of(key) == content_type
