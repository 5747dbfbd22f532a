"""What every storage driver must do. `conftest.py` names the drivers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline.storage.base import ContentTooLarge, KeyRefused, ObjectMissing, Storage
from pipeline.storage.open import open_storage
from tests.buckets import CREDENTIALS, localbucket_server, moto_server

UNUSABLE_KEYS = [
    "",
    "/etc/passwd",
    "a//b",
    "a/",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/..",
    "a/./b",
    ".hidden",
    "a/.hidden",
    "a\\b",
    "a\0b",
    "a\nb",
    "a" * 1025,
    "a/" + "b" * 256,
    "a/\ud800",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An encoded output on local scratch."""
    root = tmp_path / "scratch"
    (root / "720p").mkdir(parents=True)
    (root / "master.m3u8").write_bytes(b"#EXTM3U\n")
    (root / "720p" / "seg_00000.m4s").write_bytes(b"0123456789")
    return root


def content(storage: Storage, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(storage.read(key, start, end))


def keys(storage: Storage, prefix: str = "") -> list[str]:
    return [found.key for found in storage.list(prefix)]


def test_what_is_written_is_read_back(storage: Storage) -> None:
    storage.write("a/b.mp4", [b"01", b"", b"234"])

    assert content(storage, "a/b.mp4") == b"01234"


def test_an_object_is_described_the_same_by_write_stat_and_list(storage: Storage) -> None:
    written = storage.write("a/b.mp4", [b"01234"])

    assert storage.stat("a/b.mp4") == written
    assert list(storage.list("a")) == [written]
    assert (written.key, written.size_bytes, written.content_type) == ("a/b.mp4", 5, "video/mp4")
    assert abs(datetime.now(UTC) - written.modified_at) < timedelta(minutes=1)


def test_an_empty_object_is_an_object(storage: Storage) -> None:
    assert storage.write("a", []).size_bytes == 0
    assert content(storage, "a") == b""


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 5, b"34"),
        (0, 1, b"0"),
        (9, 10, b"9"),
        (5, 100, b"56789"),
        (5, 5, b""),
        (10, None, b""),
        (100, None, b""),
    ],
)
def test_a_range_is_read_like_a_slice(
    start: int,
    end: int | None,
    expected: bytes,
    storage: Storage,
) -> None:
    storage.write("a", [b"0123456789"])

    assert content(storage, "a", start, end) == expected


def test_a_range_of_a_large_object_is_exact(storage: Storage) -> None:
    large = bytes(range(256)) * 4096
    storage.write("a", [large])

    assert content(storage, "a", 1000, 900_000) == large[1000:900_000]


def test_a_second_write_replaces_the_object_and_its_etag(storage: Storage) -> None:
    first = storage.write("a", [b"one"])
    second = storage.write("a", [b"two"])

    assert content(storage, "a") == b"two"
    assert first.etag != second.etag


def test_the_etag_stands_quoted_and_stays_while_the_object_does(storage: Storage) -> None:
    written = storage.write("a", [b"one"])

    assert written.etag.startswith('"')
    assert written.etag.endswith('"')
    assert storage.stat("a").etag == written.etag


@pytest.mark.parametrize("call", ["stat", "read", "local_path"])
def test_what_is_not_there_is_said_to_be_missing_at_the_call(call: str, storage: Storage) -> None:
    storage.write("a/b", [b"x"])

    for absent in ("nothing", "a", "a/c", "a/b/c"):
        with pytest.raises(ObjectMissing):
            getattr(storage, call)(absent)


@pytest.mark.parametrize("key", UNUSABLE_KEYS, ids=ascii)
def test_a_key_that_could_lead_astray_is_refused_everywhere(
    key: str,
    storage: Storage,
    folder: Path,
) -> None:
    for call in (
        lambda: storage.write(key, [b"x"]),
        lambda: storage.read(key),
        lambda: storage.stat(key),
        lambda: storage.local_path(key),
        lambda: storage.publish_folder(folder, key),
        lambda: storage.delete_prefix(key),
    ):
        with pytest.raises(KeyRefused):
            call()


def test_a_file_name_in_any_language_is_a_key(storage: Storage) -> None:
    storage.write("original/Ferien an der Küste 夏.mp4", [b"x"])

    assert keys(storage) == ["original/Ferien an der Küste 夏.mp4"]


def test_content_right_at_its_limit_is_kept(storage: Storage) -> None:
    assert storage.write("a", [b"0123", b"456789"], max_bytes=10).size_bytes == 10


def test_content_over_its_limit_leaves_nothing(storage: Storage) -> None:
    with pytest.raises(ContentTooLarge):
        storage.write("a", [b"0123", b"4567890"], max_bytes=10)

    assert keys(storage) == []


def test_content_over_its_limit_is_read_no_further(storage: Storage) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with pytest.raises(ContentTooLarge):
        storage.write("a", endless(), max_bytes=10_000)


def test_a_stream_that_breaks_leaves_what_was_there_before(storage: Storage) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    storage.write("a", [b"before"])
    with pytest.raises(ConnectionResetError):
        storage.write("a", broken())

    assert content(storage, "a") == b"before"
    assert keys(storage) == ["a"]


def test_nothing_is_visible_while_an_object_is_written(storage: Storage) -> None:
    def watched() -> Iterator[bytes]:
        yield b"first"
        assert keys(storage) == []
        yield b"second"

    storage.write("a", watched())

    assert keys(storage) == ["a"]


def test_a_folder_is_published_under_its_prefix(storage: Storage, folder: Path) -> None:
    assert storage.publish_folder(folder, "processed/1/1") == 18

    assert keys(storage) == ["processed/1/1/720p/seg_00000.m4s", "processed/1/1/master.m3u8"]
    assert content(storage, "processed/1/1/720p/seg_00000.m4s") == b"0123456789"


def test_publishing_leaves_the_folder_alone(storage: Storage, folder: Path) -> None:
    storage.publish_folder(folder, "processed/1/1")

    assert (folder / "master.m3u8").read_bytes() == b"#EXTM3U\n"


def test_removing_the_folder_afterwards_takes_nothing_away(storage: Storage, folder: Path) -> None:
    storage.publish_folder(folder, "processed/1/1")
    (folder / "master.m3u8").unlink()

    assert content(storage, "processed/1/1/master.m3u8") == b"#EXTM3U\n"


def test_publishing_again_replaces_all_that_was_there(storage: Storage, folder: Path) -> None:
    storage.publish_folder(folder, "processed/1/1")
    (folder / "720p" / "seg_00000.m4s").unlink()
    (folder / "720p" / "seg_00001.m4s").write_bytes(b"new")

    storage.publish_folder(folder, "processed/1/1")

    assert keys(storage, "processed/1/1/720p") == ["processed/1/1/720p/seg_00001.m4s"]


def test_a_folder_with_a_link_is_refused_and_what_was_published_stays(
    storage: Storage,
    folder: Path,
) -> None:
    storage.publish_folder(folder, "processed/1/1")
    (folder / "zz_link").symlink_to("/etc/passwd")

    with pytest.raises(KeyRefused):
        storage.publish_folder(folder, "processed/1/1")

    assert len(keys(storage, "processed/1/1")) == 2
    assert keys(storage) == keys(storage, "processed/1/1")


def test_a_folder_that_is_not_there_changes_nothing(storage: Storage, folder: Path) -> None:
    storage.publish_folder(folder, "processed/1/1")

    with pytest.raises(FileNotFoundError):
        storage.publish_folder(folder / "nowhere", "processed/1/1")

    assert len(keys(storage, "processed/1/1")) == 2


def test_a_prefix_is_whole_segments(storage: Storage) -> None:
    for key in ("a/b/c", "a/bc", "a/b2/c", "z"):
        storage.write(key, [b"x"])

    assert keys(storage, "a/b") == ["a/b/c"]
    assert keys(storage, "a") == ["a/b/c", "a/b2/c", "a/bc"]
    assert keys(storage, "nothing") == []


def test_the_empty_prefix_lists_everything(storage: Storage) -> None:
    storage.write("b", [b"x"])
    storage.write("a/b", [b"x"])

    assert keys(storage) == ["a/b", "b"]


def test_deleting_a_prefix_reclaims_its_bytes_and_no_others(storage: Storage) -> None:
    for key in ("a/b/c", "a/b/d/e", "a/bc"):
        storage.write(key, [b"12345"])

    assert storage.delete_prefix("a/b") == 10
    assert keys(storage) == ["a/bc"]


def test_deleting_twice_reclaims_nothing_the_second_time(storage: Storage) -> None:
    storage.write("a/b", [b"12345"])

    assert storage.delete_prefix("a") == 5
    assert storage.delete_prefix("a") == 0
    assert storage.delete_prefix("a/b/c") == 0


def test_one_object_is_deleted_by_its_key(storage: Storage) -> None:
    storage.write("a/b", [b"12345"])

    assert storage.delete_prefix("a/b") == 5
    assert keys(storage) == []


def test_a_prefix_can_be_used_again_after_it_was_deleted(storage: Storage, folder: Path) -> None:
    storage.publish_folder(folder, "a/b")
    storage.delete_prefix("a/b")

    assert storage.publish_folder(folder, "a/b") == 18


def test_a_local_path_holds_the_object_or_is_none(storage: Storage) -> None:
    storage.write("a", [b"12345"])

    path = storage.local_path("a")

    assert path is None or path.read_bytes() == b"12345"


def test_an_object_of_a_bucket_that_is_gone_does_not_count_as_missing(tmp_path: Path) -> None:
    with localbucket_server(tmp_path / "local") as local, moto_server() as moto:
        for server in (local, moto):
            gone = open_storage(
                f"s3://gone?endpoint={quote(server.endpoint, safe='')}", CREDENTIALS
            )
            with pytest.raises(OSError, match="NoSuchBucket"):
                gone.stat("a")
