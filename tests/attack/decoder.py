"""A decoder that a file has taken over: a program in the jail of an encode."""

import json
import subprocess
import sys
from tempfile import TemporaryDirectory

from tests.attack.rows import Row
from tests.attack.target import Target
from tests.hostile.taken_over import DONE


def attack(_: Target) -> list[Row]:
    """Try from inside the jail all that an attacker would try."""
    with TemporaryDirectory(prefix="khronika-jail-") as folder:
        command = [sys.executable, "-B", "-m", "tests.hostile.taken_over", folder]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        return [Row("decoder take-over", "start the attacker", "0", f"{done.returncode}")]
    return [
        Row(
            "decoder take-over",
            tried,
            "done" if tried.startswith("allowed: ") else "refused",
            "done" if end == DONE else "refused",
        )
        for tried, end in json.loads(done.stdout).items()
    ]
