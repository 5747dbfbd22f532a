"""A decoder that a file has taken over, in the jail, as root and as an ordinary user."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.hostile.taken_over import DONE, NO_INTERPRETER, SECRET

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")

NOBODY = "65534"
BECOME = ("setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups")
# Root's private home may hold our interpreter: this capability lets the user through to it.
PASSING = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
USERS: dict[str, Sequence[str]] = {"the present user": (), "an ordinary user": (*BECOME, *PASSING)}


@pytest.fixture(params=USERS)
def prefix(request: pytest.FixtureRequest) -> Sequence[str]:
    """The command that becomes the user."""
    become = USERS[request.param]
    if become and (os.geteuid() != 0 or not shutil.which(become[0])):
        pytest.skip("only root becomes another user, by setpriv")
    return become


@pytest.fixture
def folder(prefix: Sequence[str]) -> Iterator[Path]:
    """A folder of the user, in a place that every user reaches."""
    with TemporaryDirectory(prefix="khronika-jail-") as folder:
        if prefix:
            os.chown(folder, int(NOBODY), int(NOBODY))
        yield Path(folder)
    Path("/tmp/khronika-planted").unlink(missing_ok=True)


def test_a_decoder_that_was_taken_over_reaches_its_input_and_its_outputs_only(
    prefix: Sequence[str], folder: Path
) -> None:
    command = [*prefix, sys.executable, "-B", "-m", "tests.hostile.taken_over", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)

    if done.returncode == NO_INTERPRETER:
        pytest.skip("the user may run no Python; put one where everybody may")
    assert done.returncode == 0, done.stderr.decode()
    ends = json.loads(done.stdout)
    assert {name for name, end in ends.items() if end == DONE} == {
        name for name in ends if name.startswith("allowed: ")
    }
    assert len(ends) > 30
    assert (folder / ".khronika" / "secrets.json").read_text() == SECRET
    outputs = folder / "scratch" / "own" / "outputs"
    assert [path.name for path in outputs.rglob("*")] == ["720p", "seg_00001.m4s"]
