import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.storage.base import KeyRefused, PartsRefused, StorageAway
from pipeline.storage.local import MARKER, LocalStorage, prepare_folder
from pipeline.storage.multipart import Multipart


def everything(root: Path) -> list[str]:
    """Every file under a folder, hidden ones too, but for its marker."""
    files = (path for path in root.rglob("*") if not path.is_dir() and path.name != MARKER)
    return sorted(str(path.relative_to(root)) for path in files)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    prepare_folder(root)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"0123456789")
    return folder


def test_keys_are_paths_under_the_root(root: Path) -> None:
    LocalStorage(root).write("a/b.mp4", [b"x"])

    assert everything(root) == ["a/b.mp4"]


def test_nothing_is_left_behind_by_any_of_it(root: Path, folder: Path) -> None:
    storage = LocalStorage(root)
    storage.write("a", [b"x"])
    storage.publish_folder(folder, "p")
    storage.publish_folder(folder, "p")
    storage.delete_prefix("a")

    assert everything(root) == ["p/a.mp4"]
    assert list((root / ".incoming").iterdir()) == []


def test_files_are_copied_where_they_cannot_be_linked(
    root: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def other_device(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(Path, "hardlink_to", other_device)

    assert LocalStorage(root).publish_folder(folder, "p") == 10
    assert (root / "p" / "a.mp4").read_bytes() == b"0123456789"
    assert not (root / "p" / "a.mp4").samefile(folder / "a.mp4")


def test_where_the_new_folder_cannot_be_put_the_old_one_comes_back(
    root: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = LocalStorage(root)
    storage.publish_folder(folder, "p")
    (folder / "b.mp4").write_bytes(b"new")
    rename = Path.rename
    calls: list[Path] = []

    def full_the_second_time(source: Path, target: Path) -> Path:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", full_the_second_time)

    with pytest.raises(OSError, match="No space"):
        storage.publish_folder(folder, "p")

    assert everything(root) == ["p/a.mp4"]


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a")])
def test_an_object_and_a_folder_of_one_name_are_refused(
    first: str,
    second: str,
    root: Path,
) -> None:
    storage = LocalStorage(root)
    storage.write(first, [b"x"])

    with pytest.raises(KeyRefused):
        storage.write(second, [b"x"])

    assert everything(root) == [first]


def test_a_range_survives_the_replacement_of_its_object(root: Path) -> None:
    storage = LocalStorage(root)
    storage.write("a", [b"0" * 1_000_000])
    reading = storage.read("a")
    first = next(reading)

    storage.write("a", [b"1" * 1_000_000])

    assert set(first + b"".join(reading)) == set(b"0")


def test_the_etag_tells_two_files_of_one_instant_apart(root: Path) -> None:
    storage = LocalStorage(root)
    tags = set()
    for content in (b"one", b"two"):
        storage.write("a", [content])
        os.utime(root / "a", ns=(0, 0))
        tags.add(storage.stat("a").etag)

    assert len(tags) == 2


def test_parts_that_may_still_be_added_to_are_no_leftovers(root: Path) -> None:
    storage = LocalStorage(root)
    multipart = storage.start_multipart("a")
    storage.put_part(multipart, 1, 0, [b"x"])

    assert storage.remove_unfinished(older_than_sec=60) == 0
    assert storage.remove_unfinished(older_than_sec=0) == 1


def test_a_part_whose_copy_was_cut_off_counts_as_absent(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(root)
    multipart = storage.start_multipart("a")
    part = storage.put_part(multipart, 1, 0, [b"one"])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr("pipeline.storage.local_parts.shutil.copyfileobj", full)
        with pytest.raises(OSError, match="space"):
            storage.put_part(multipart, 1, 0, [b"two"])

    with pytest.raises(PartsRefused):
        storage.complete_multipart(multipart, [part])
    storage.complete_multipart(multipart, [storage.put_part(multipart, 1, 0, [b"one"])])
    assert everything(root) == ["a"]


def test_completion_cut_off_after_the_rename_is_finished_by_the_next(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(root)
    multipart = storage.start_multipart("a")
    part = storage.put_part(multipart, 1, 0, [b"one"])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("pipeline.storage.local_parts.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            storage.complete_multipart(multipart, [part])

    storage.complete_multipart(multipart, [part])
    assert everything(root) == ["a"]


@pytest.mark.parametrize("id_", ["../a", "", "f" * 31, "F" * 32])
def test_an_id_that_could_lead_astray_names_no_parts(root: Path, id_: str) -> None:
    with pytest.raises(PartsRefused):
        LocalStorage(root).abort_multipart(Multipart("a", id_))


def test_a_folder_without_its_marker_is_never_written_to(root: Path, folder: Path) -> None:
    storage = LocalStorage(root)
    storage.write("a", [b"x"])
    away = root.with_name("unmounted")
    root.rename(away)
    root.mkdir()
    deeds: dict[str, Callable[[], object]] = {
        "write": lambda: storage.write("b", [b"x"]),
        "read": lambda: storage.read("a"),
        "stat": lambda: storage.stat("a"),
        "publish": lambda: storage.publish_folder(folder, "p"),
        "list": lambda: list(storage.list()),
        "delete": lambda: storage.delete_prefix("a"),
        "tidy": lambda: storage.remove_unfinished(older_than_sec=0),
        "start": lambda: storage.start_multipart("c"),
        "part": lambda: storage.put_part(Multipart("c", "f" * 32), 1, 0, [b"x"]),
        "parts": lambda: storage.list_parts(Multipart("c", "f" * 32)),
        "complete": lambda: storage.complete_multipart(Multipart("c", "f" * 32), []),
        "abort": lambda: storage.abort_multipart(Multipart("c", "f" * 32)),
        "open": lambda: storage.local_path("a"),
    }
    for deed in deeds.values():
        with pytest.raises(StorageAway):
            deed()
    assert list(root.iterdir()) == []

    root.rmdir()
    away.rename(root)
    assert b"".join(storage.read("a")) == b"x"


def test_opening_a_folder_that_is_absent_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageAway):
        LocalStorage(tmp_path / "mnt" / "videos").write("a", [b"x"])

    assert list(tmp_path.iterdir()) == []


def lose(root: Path) -> None:
    """Unmount the disk: an empty folder is left."""
    root.rename(root.with_name("unmounted"))
    root.mkdir()


def test_a_disk_that_goes_during_a_write_leaves_its_folder_empty(root: Path) -> None:
    def content() -> Iterator[bytes]:
        yield b"a"
        lose(root)
        yield b"b"

    with pytest.raises(StorageAway):
        LocalStorage(root).write("a/b/c", content())

    assert list(root.iterdir()) == []


def test_a_disk_that_goes_during_a_publication_leaves_its_folder_empty(
    root: Path, folder: Path
) -> None:
    with pytest.raises(OSError, match=r"a\.mp4|khronika-storage"):
        LocalStorage(root).publish_folder(folder, "processed/a", beat=lambda: lose(root))

    assert list(root.iterdir()) == []


def test_a_disk_that_goes_during_a_part_does_not_end_the_upload(root: Path) -> None:
    storage = LocalStorage(root)
    multipart = storage.start_multipart("a")

    def content() -> Iterator[bytes]:
        yield b"a"
        lose(root)

    with pytest.raises(OSError, match=r"unmounted|No such file|khronika-storage"):
        storage.put_part(multipart, 1, 0, content())


def test_a_file_counts_as_missing_only_while_the_disk_is_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(root)
    storage.write("a", [b"x"])
    look = Path.stat

    def lost_before(path: Path, **options: bool) -> os.stat_result:
        if path.name == "a" and root.with_name("unmounted") not in root.parent.iterdir():
            lose(root)
        return look(path, **options)

    monkeypatch.setattr(Path, "stat", lost_before)

    with pytest.raises(StorageAway):
        storage.stat("a")


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_folder_that_cannot_be_read_is_not_an_empty_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    storage = LocalStorage(root)
    storage.write("a/b", [b"x"])

    def refuse(path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        list(storage.list("a"))
