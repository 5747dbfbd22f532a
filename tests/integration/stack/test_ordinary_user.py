"""Root is the odd case, but it is the one CI has; here the stack runs as somebody ordinary."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from stack import postgres_location
from stack.home import CHECKOUT
from stack.postgres_location import ADMINISTRATION
from tests.integration.stack.conftest import Start
from tests.integration.stack.stack_runs import gone

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes a system user: sudo make check-system"),
]


@pytest.fixture
def user() -> Iterator[str]:
    """A system user for this test."""
    name = f"khronika-t{os.getpid()}"
    made = subprocess.run(
        [administration("useradd"), "--system", "--user-group", "--no-create-home", name],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"no system user can be made here: {made.stderr}")
    yield name
    subprocess.run([administration("userdel"), name], capture_output=True, check=True)


def administration(program: str) -> str:
    """Its path; ``PATH`` need not lead to it."""
    found = shutil.which(program, path=ADMINISTRATION)
    if not found:
        pytest.skip(f"there is no {program} here")
    return found


@pytest.fixture
def as_user(user: str) -> Sequence[str]:
    """The command prefix that becomes the user.

    Where our interpreter lies in root's private home, the user is let through closed folders, by
    the capability for just that. Everything else they do, they do as themselves.
    """
    become = ("setpriv", "--reuid", user, "--regid", user, "--clear-groups")
    passing = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    for prefix in (become, become + passing):
        command = [*prefix, sys.executable, "-c", "import stack.commands"]
        if subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False).returncode == 0:
            return prefix
    pytest.skip(f"{user} may not run {sys.executable}; put Python where everybody may")


def test_an_ordinary_user_runs_a_stack_as_themselves(
    start: Start, place: Path, user: str, as_user: Sequence[str]
) -> None:
    home = place / "home"
    home.mkdir()
    os.chown(home, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    up = start(home, prefix=as_user, is_first=True)
    up.wait_until_ready()
    family = up.family()
    assert {process.username() for process in family} == {user}
    assert "postgres" in up.programs()
    assert (home / "postgres" / "data").is_dir()
    assert stat.S_IMODE((home / "secrets.json").stat().st_mode) == 0o600

    assert up.stop() == 0
    assert gone(family)


def test_roots_server_gets_a_user_of_its_own_even_where_path_lacks_sbin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"khronika-s{os.getpid()}"
    monkeypatch.setattr(postgres_location, "SERVER_USER", name)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    try:
        assert postgres_location._server_user() == name
        assert pwd.getpwnam(name).pw_shell == "/usr/sbin/nologin"
    finally:
        subprocess.run([administration("userdel"), name], capture_output=True, check=False)
