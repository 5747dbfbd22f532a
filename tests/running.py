"""The whole product as processes, for tests that speak to it over HTTP."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from cli.environment import make_token
from stack.home import CHECKOUT, Home
from stack.process_environment import read_environment
from stack.processes import last_lines, spawn, stop_child

READY_SEC = 300.0
TOKEN_LIVES_SEC = 6 * 3600


@dataclass(frozen=True)
class RunningStack:
    """A stack that is ready.

    Attributes:
        base_url: Of its API.
        environment: Its settings, ``DATABASE_URL`` (the owner) included.
        home: Where its state and logs are.
    """

    base_url: str
    environment: Mapping[str, str]
    home: Home

    @property
    def site_url(self) -> str:
        """Of the demonstration site's pages, with no slash at its end."""
        return self.environment["KHRONIKA_SITE_URL"]

    def token(self, owner: str, role: str | None = None) -> str:
        """A bearer token of this owner; ``role`` for ``service_role`` or ``operator_read``."""
        return make_token(self.environment, owner, role=role, life_sec=TOKEN_LIVES_SEC)

    def log(self, process: str) -> str:
        """What a process of the Procfile has said."""
        return (self.home.logs / f"{process}.log").read_text(errors="replace")


@contextmanager
def running_stack_process(home: Home, settings: Mapping[str, str]) -> Iterator[RunningStack]:
    """Run ``python -m stack up`` for the length of the block.

    Args:
        home: Its own, not the test session's.
        settings: Added to the environment; ``PORT`` is any free one unless it is among them.
    """
    home.make()
    log = home.logs / "up.log"
    with log.open("wb") as output:
        child = spawn(
            [sys.executable, "-m", "stack", "up"],
            death_signal=signal.SIGTERM,
            cwd=CHECKOUT,
            env={**os.environ, "PORT": "0", **settings, "KHRONIKA_HOME": str(home.root)},
            output=output.fileno(),
        )
    try:
        deadline = time.monotonic() + READY_SEC
        while "khronika: ready at" not in log.read_text(errors="replace"):
            assert child.poll() is None, last_lines(log, count=60)
            assert time.monotonic() < deadline, last_lines(log, count=60)
            time.sleep(0.1)
        environment = read_environment(home)
        yield RunningStack(f"http://127.0.0.1:{environment['PORT']}", environment, home)
    finally:
        stop_child(child, [(signal.SIGTERM, 40.0)])
