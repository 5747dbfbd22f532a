"""Where a stack keeps its state: one folder per checkout, used by one stack at a time."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).resolve().parent.parent


LOCK_PATIENCE_SEC = 0.5
"""``is_held`` takes the lock for a moment; that moment must not look like a running stack."""


class AlreadyRunning(Exception):
    """A stack is running from this home."""


@dataclass(frozen=True)
class Home:
    """The folder of one stack.

    Attributes:
        root: ``.khronika`` of the checkout, or ``KHRONIKA_HOME``; absolute.
    """

    root: Path

    @property
    def logs(self) -> Path:
        """One file per process and server."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What means nothing once the stack has stopped; emptied by every start."""
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        """Generated keys and passwords."""
        return self.root / "secrets.json"

    @property
    def storage(self) -> Path:
        """The storage folder when ``STORAGE_URL`` names none."""
        return self.root / "post-videos"

    @property
    def scratch(self) -> Path:
        """Where the transcoder works."""
        return self.root / "scratch"

    @property
    def environment(self) -> Path:
        """The environment of the stack that runs from here now."""
        return self.run / "environment.json"

    def make(self) -> None:
        """Make the folders.

        For root the home may be walked through by others, because the Postgres server runs as
        somebody else; what it holds stays closed.
        """
        self.root.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        for folder in (self.logs, self.run, self.scratch):
            folder.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other stack out of this home until the block ends.

        The kernel drops the lock with the process, so that a killed stack never locks out the
        next one.

        Raises:
            AlreadyRunning: another process holds it.
        """
        self.make()
        with (self.root / "lock").open("a+") as file:
            deadline = time.monotonic() + LOCK_PATIENCE_SEC
            while not _locked(file):
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise AlreadyRunning(
                        f"a stack is already running from {self.root}: process {file.read()}"
                    )
                time.sleep(0.05)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def is_held(self) -> bool:
        """Whether a stack is running from here."""
        try:
            with self.held():
                return False
        except AlreadyRunning:
            return True


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def locate_home(env: Mapping[str, str]) -> Home:
    """The home this environment means: ``KHRONIKA_HOME``, else ``.khronika`` of the checkout."""
    return Home(Path(env.get("KHRONIKA_HOME") or CHECKOUT / ".khronika").expanduser().resolve())


def write_private(path: Path, content: str) -> None:
    """Replace a file that nobody else may read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_strings(path: Path) -> dict[str, str]:
    """A JSON object of strings; empty when the file is not there.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path} does not hold a JSON object")  # noqa: TRY004 - a file's content is a value
    return {str(name): str(value) for name, value in content.items()}
