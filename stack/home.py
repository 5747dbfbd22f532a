"""The home of a stack: the folder of its state, one per checkout, used by one stack at a time."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

CHECKOUT = Path(__file__).resolve().parent.parent


LOCK_PATIENCE_SEC = 0.5
"""``is_held`` takes the lock for a moment; a start at that moment must not be refused."""


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
        """The folder of one log per process and server."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """The folder of files that are worthless once the stack has stopped; a start empties it."""
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        """The file of generated keys and passwords."""
        return self.root / "secrets.json"

    @property
    def storage(self) -> Path:
        """The storage folder when ``STORAGE_URL`` names none."""
        return self.root / "post-videos"

    @property
    def scratch(self) -> Path:
        """The working folder of the transcoder."""
        return self.root / "scratch"

    @property
    def environment(self) -> Path:
        """The file of the settings of the stack that runs from here now."""
        return self.run / "environment.json"

    def make(self) -> None:
        """Make the folders.

        For root the home is open to passing through, because the Postgres server runs as another
        user; its folders stay closed. So does each file that an earlier start left open.
        """
        if not self.root.exists():
            self.root.mkdir(parents=True)
            self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.logs, self.run, self.scratch, self.storage):
            if folder != self.storage or folder.exists():
                folder.mkdir(exist_ok=True)
                folder.chmod(0o700)
        for file in (*self.logs.iterdir(), *self.run.iterdir(), self.secrets, self.root / "lock"):
            if file.is_file() and not file.is_symlink() and file.stat().st_uid == os.geteuid():
                file.chmod(0o600)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock this home against other stacks for the length of the block.

        The kernel drops the lock with the process: a killed stack does not lock out the next one.

        Raises:
            AlreadyRunning: another process holds it.
        """
        self.make()
        with open_private(self.root / "lock", "a+") as file:
            deadline = time.monotonic() + LOCK_PATIENCE_SEC
            while not _try_to_lock(file):
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
        """Tell whether a stack is running from here."""
        try:
            with self.held():
                return False
        except AlreadyRunning:
            return True


def _try_to_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def locate_home(env: Mapping[str, str]) -> Home:
    """Return the home of ``KHRONIKA_HOME``, else ``.khronika`` of the checkout."""
    return Home(Path(env.get("KHRONIKA_HOME") or CHECKOUT / ".khronika").expanduser().resolve())


def open_private(path: Path, mode: str) -> IO[Any]:
    """Open a file that only its owner may read, whatever the umask is and whoever made it."""
    file: IO[Any] = open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115 - the caller closes it; Path.open has no opener
    os.fchmod(file.fileno(), 0o600)
    return file


def write_private(path: Path, content: str) -> None:
    """Replace a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_strings(path: Path) -> dict[str, str]:
    """Read a JSON object of strings; empty if the file does not exist.

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
