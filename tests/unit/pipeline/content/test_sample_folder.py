"""Folders of samples, also those of processes that were killed."""

import os
import tempfile
from pathlib import Path

import pytest

from pipeline.content.sample_folder import PREFIX, sample_folder


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
    with sample_folder() as mine:
        long_ago(mine)
        with sample_folder() as other:
            assert sorted(temporary.iterdir()) == sorted([mine, other])
    assert not list(temporary.iterdir())


def test_a_folder_that_is_not_one_of_ours_is_left_alone(temporary: Path) -> None:
    precious = temporary / "precious"
    precious.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(precious)
    long_ago(precious)
    with sample_folder():
        pass
    assert not list(precious.iterdir())
