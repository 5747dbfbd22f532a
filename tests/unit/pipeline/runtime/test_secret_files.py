import os
from pathlib import Path

import pytest

from pipeline.runtime.secret_files import MAX_BYTES, SecretUnreadable, read_secret

SECRET = "a secret of some length"


def missing(path: Path) -> None:
    """Leave nothing there."""


def loop(path: Path) -> None:
    path.symlink_to(path)


def empty(path: Path) -> None:
    path.write_text("\r\n\n")


def too_large(path: Path) -> None:
    path.write_text(SECRET * MAX_BYTES)


def binary(path: Path) -> None:
    path.write_bytes(SECRET.encode() + b"\xff")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_secret_is_what_its_file_holds_without_the_end_of_the_line(
    tmp_path: Path, end: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(f" {SECRET}\nof two lines {end}".encode())

    assert read_secret({"KEY_FILE": str(path)}, "KEY") == f" {SECRET}\nof two lines "


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)

    assert read_secret({"KEY": "", "KEY_FILE": str(path)}, "KEY") == SECRET
    assert read_secret({"KEY": SECRET, "KEY_FILE": ""}, "KEY") == SECRET
    assert read_secret({}, "KEY") is None


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)

    with pytest.raises(SecretUnreadable, match=r"^KEY and KEY_FILE are both set") as refused:
        read_secret({"KEY": SECRET, "KEY_FILE": str(path)}, "KEY")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("spoil", [missing, loop, empty, too_large, binary, Path.mkdir, os.mkfifo])
def test_a_file_that_holds_no_secret_is_refused_and_neither_it_nor_its_name_is_shown(
    tmp_path: Path, spoil: object
) -> None:
    path = tmp_path / "secret"
    assert callable(spoil)
    spoil(path)

    with pytest.raises(SecretUnreadable, match=r"^KEY_FILE names a file that ") as refused:
        read_secret({"KEY_FILE": str(path)}, "KEY")

    # Somebody will give the secret itself where its file's name belongs.
    assert str(path) not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_the_secret_in_place_of_its_files_name_is_refused_and_not_shown() -> None:
    given = SECRET * 20

    with pytest.raises(SecretUnreadable, match="cannot be read") as refused:
        read_secret({"KEY_FILE": given}, "KEY")

    assert SECRET not in str(refused.value)
