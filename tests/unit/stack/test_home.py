import os
from pathlib import Path

import pytest

from stack.home import (
    CHECKOUT,
    AlreadyRunning,
    Home,
    locate_home,
    open_private,
    write_private,
)


def test_the_home_is_in_the_checkout_unless_the_environment_names_another(tmp_path: Path) -> None:
    assert locate_home({}).root == CHECKOUT / ".khronika"
    assert locate_home({"KHRONIKA_HOME": ""}).root == CHECKOUT / ".khronika"
    assert locate_home({"KHRONIKA_HOME": str(tmp_path)}).root == tmp_path.resolve()


def test_a_held_home_lets_no_second_stack_in_until_it_is_let_go(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.held():
        assert home.is_held()
        with pytest.raises(AlreadyRunning, match=str(tmp_path)), home.held():
            pass
    assert not home.is_held()


def test_a_home_lets_others_pass_only_where_the_server_is_another_user(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    expected = 0o711 if os.geteuid() == 0 else 0o700
    assert home.root.stat().st_mode & 0o777 == expected
    assert home.run.stat().st_mode & 0o777 == 0o700


def test_a_private_file_is_never_seen_half_written_nor_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_an_earlier_start_left_open_is_closed_by_the_next(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.storage.mkdir()
    left = [home.logs / "web.log", home.run / "id", home.secrets, home.root / "lock"]
    for path in left:
        path.write_text("{}")
        path.chmod(0o644)
    for folder in (home.logs, home.run, home.scratch, home.storage):
        folder.chmod(0o755)

    home.make()

    assert {oct(path.stat().st_mode & 0o777) for path in left} == {"0o600"}
    folders = (home.logs, home.run, home.scratch, home.storage)
    assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}


def test_a_file_is_opened_private_whatever_the_umask_and_whoever_made_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        for name in ("new", "old"):
            path = tmp_path / name
            if name == "old":
                path.touch(0o666)
            with open_private(path, "ab") as file:
                file.write(b"x")
            assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
