import threading
from pathlib import Path

import pytest

from pipeline.storage.s3_folders import upload_all

FILES = {
    f"p/{name}": Path(name)
    for name in (
        "master.m3u8",
        "720p/index.m3u8",
        "720p/seg_0.m4s",
        "720p/seg_1.m4s",
        "360p/index.m3u8",
        "360p/seg_0.m4s",
        "fallback/video.mp4",
    )
}


def test_whoever_can_read_a_playlist_can_read_what_it_lists() -> None:
    stored: list[str] = []
    lock = threading.Lock()

    def upload(key: str, path: Path) -> None:
        assert FILES[key] == path
        with lock:
            stored.append(key)

    upload_all(FILES, upload, lambda: None)

    assert sorted(stored) == sorted(FILES)
    media = [key for key in FILES if not key.endswith(".m3u8")]
    assert sorted(stored[: len(media)]) == sorted(media)
    assert sorted(stored[len(media) : -1]) == ["p/360p/index.m3u8", "p/720p/index.m3u8"]
    assert stored[-1] == "p/master.m3u8"


def test_one_failure_ends_it_before_any_playlist_is_stored() -> None:
    stored: list[str] = []

    def upload(key: str, _: Path) -> None:
        if key.endswith("seg_1.m4s"):
            raise ConnectionResetError
        stored.append(key)

    with pytest.raises(ConnectionResetError):
        upload_all(FILES, upload, lambda: None)

    assert not [key for key in stored if key.endswith(".m3u8")]
