"""Remember uploads that were begun, so that the same file, sent again, goes on where it ended."""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID


class UploadBook:
    """A folder with one file for each upload on its way; only its owner may read them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, whose: str, path: Path) -> tuple[UUID, dict[str, Any]] | None:
        """The post and the ticket of an upload of this very file; None if none was begun.

        Args:
            whose: Which API, and as whom.
            path: The file; changed since, it is another one.
        """
        try:
            known = json.loads(self._place(whose, path).read_text())
            return UUID(known["post_id"]), dict(known["ticket"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, whose: str, path: Path, post_id: UUID, ticket: Mapping[str, Any]) -> None:
        """Remember an upload that begins."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._place(whose, path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"post_id": str(post_id), "ticket": dict(ticket)}, file)

    def forget(self, whose: str, path: Path) -> None:
        """Forget one that has ended."""
        self._place(whose, path).unlink(missing_ok=True)

    def _place(self, whose: str, path: Path) -> Path:
        found = path.stat()
        file = [whose, str(path.resolve()), found.st_size, found.st_mtime_ns]
        return self._folder / f"{sha256(json.dumps(file).encode()).hexdigest()}.json"


def book_of(env: Mapping[str, str]) -> UploadBook:
    """The caller's own, where the XDG specification has such things kept."""
    state = env.get("XDG_STATE_HOME") or Path(env.get("HOME") or "~").expanduser() / ".local/state"
    return UploadBook(Path(state) / "khronika" / "uploads")
