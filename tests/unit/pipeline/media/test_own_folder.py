"""Temporary folders of processes, also those of processes that were killed."""

import os
import tempfile
from pathlib import Path

import pytest

from pipeline.media.own_folder import own_folder, remove_left_over

PREFIX = "khronika-test-"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def long_ago(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_a_folder_of_a_killed_process_is_removed_and_one_in_use_is_not(temporary: Path) -> None:
    left_over = temporary / f"{PREFIX}killed"
    left_over.mkdir()
    (left_over / "source").write_bytes(b"much")
    long_ago(left_over)
    with own_folder(PREFIX) as mine:
        long_ago(mine)
        with own_folder(PREFIX) as other:
            assert sorted(temporary.iterdir()) == sorted([mine, other])
    assert not list(temporary.iterdir())


def test_a_folder_that_is_not_one_of_ours_is_left_alone(temporary: Path) -> None:
    precious = temporary / "precious"
    precious.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(precious)
    long_ago(precious)
    with own_folder(PREFIX):
        pass
    assert not list(precious.iterdir())


def test_a_folder_may_have_another_place_and_is_removed_there_too(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    (left_over := scratch / f"{PREFIX}killed").mkdir(parents=True)
    long_ago(left_over)
    with own_folder(PREFIX, scratch) as mine:
        assert list(scratch.iterdir()) == [mine]
        long_ago(mine)
        remove_left_over(PREFIX, scratch)
        assert mine.is_dir()
    assert not list(scratch.iterdir())
