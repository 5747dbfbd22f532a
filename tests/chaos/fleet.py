"""The Procfile's processes, kept running: what is killed here is started again.

The stack's own supervisor stops everything when one process dies, which is right for a person at
a terminal; here it is a machine's, which restarts.
"""

import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from stack.home import CHECKOUT, Home
from stack.processes import end_processes, find_marked_processes, spawn, stop_child
from stack.supervisor import RUN_VARIABLE

RESTART_SEC = 0.5
"""After a death that nobody here ordered."""


@dataclass
class Member:
    """One process of the fleet.

    Attributes:
        extra: Its own environment, on top of the fleet's.
        restart_at: When it is to be started again; None while it is to stay down.
    """

    name: str
    line: str
    extra: dict[str, str] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None
    restart_at: float | None = None

    def is_up(self) -> bool:
        """Whether it runs."""
        return self.child is not None and self.child.poll() is None


class Fleet:
    """Starts, kills and restarts; every call from the main thread, as ``spawn`` asks."""

    def __init__(self, home: Home, env: Mapping[str, str], keep_open: Sequence[int]) -> None:
        self._home = home
        self._run_id = uuid.uuid4().hex
        self.env = {**env, RUN_VARIABLE: self._run_id}
        self._keep_open = keep_open
        self.members: dict[str, Member] = {}

    def add(self, name: str, line: str) -> None:
        """Start a process under this name, and keep it running."""
        self.members[name] = Member(name, line)
        self._start(self.members[name])

    def _start(self, member: Member) -> None:
        with (self._home.logs / f"{member.name}.log").open("ab") as log:
            member.child = spawn(
                ["/bin/sh", "-c", f"exec {member.line}"],
                death_signal=signal.SIGTERM,
                cwd=CHECKOUT,
                env={**self.env, **member.extra},
                output=log.fileno(),
                keep_open=self._keep_open,
            )
        member.restart_at = 0.0

    def tend(self) -> None:
        """Start again what is due. A process that died on its own counts as due shortly."""
        now = time.monotonic()
        for member in self.members.values():
            if member.is_up() or member.restart_at is None:
                continue
            if member.restart_at == 0.0:
                member.restart_at = now + RESTART_SEC
            elif member.restart_at <= now:
                self._start(member)

    def process(self, name: str) -> psutil.Process | None:
        """The process of this name, if it runs."""
        member = self.members[name]
        if not member.is_up():
            return None
        assert member.child is not None
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(member.child.pid)
        return None

    def children(self, name: str) -> list[psutil.Process]:
        """What it has forked: a pool's workers."""
        process = self.process(name)
        with suppress(psutil.NoSuchProcess):
            return list(process.children(recursive=True)) if process else []
        return []

    def kill(self, name: str, *, whole: bool) -> None:
        """SIGKILL, and keep it down until ``revive``.

        Args:
            whole: With everything it forked, as when a container dies; else the parent alone.
        """
        member, victims = self.members[name], self.children(name) if whole else []
        member.restart_at = None
        if member.is_up() and member.child is not None:
            member.child.kill()
            member.child.wait()
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()

    def revive(self, name: str, **extra: str) -> None:
        """Let it be started by the next ``tend``, with this environment of its own."""
        member = self.members[name]
        member.extra = extra
        if not member.is_up():
            member.restart_at = time.monotonic() - 1

    def drop(self, name: str) -> None:
        """SIGTERM, and forget it."""
        member = self.members.pop(name, None)
        if member is not None and member.child is not None:
            stop_child(member.child, [(signal.SIGTERM, 5.0)])

    def stop(self) -> None:
        """End everything that was started, wherever it went."""
        for member in self.members.values():
            member.restart_at = None
            if member.is_up() and member.child is not None:
                member.child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 6.0
        for member in self.members.values():
            if member.child is None:
                continue
            with suppress(subprocess.TimeoutExpired):
                member.child.wait(max(0.0, deadline - time.monotonic()))
            stop_child(member.child, [])
        self.members.clear()
        end_processes(self.survivors(), patience_sec=0)

    def survivors(self) -> list[psutil.Process]:
        """Every process of this run that lives, orphans and grandchildren included."""
        return find_marked_processes(RUN_VARIABLE, self._run_id)
