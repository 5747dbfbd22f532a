"""Records of unfinished uploads, so that sending the same file again continues its upload."""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID


class UnfinishedUploads:
    """A folder with one file for each unfinished upload, readable by its user alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, identity: str, path: Path) -> tuple[UUID, dict[str, Any]] | None:
        """Find the post and the ticket of an unfinished upload of this file.

        Args:
            identity: The API and the caller.
            path: The file. A change of its size or time makes it another file.
        """
        try:
            record = json.loads(self._record(identity, path).read_text())
            return UUID(record["post_id"]), dict(record["ticket"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, identity: str, path: Path, post_id: UUID, ticket: Mapping[str, Any]) -> None:
        """Record an upload that begins."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        record = self._record(identity, path)
        descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"post_id": str(post_id), "ticket": dict(ticket)}, file)

    def forget(self, identity: str, path: Path) -> None:
        """Remove the record of a finished upload."""
        self._record(identity, path).unlink(missing_ok=True)

    def _record(self, identity: str, path: Path) -> Path:
        found = path.stat()
        file = [identity, str(path.resolve()), found.st_size, found.st_mtime_ns]
        return self._folder / f"{sha256(json.dumps(file).encode()).hexdigest()}.json"


def unfinished_uploads(env: Mapping[str, str]) -> UnfinishedUploads:
    """Open the user's records, in the state folder of the XDG Base Directory Specification."""
    state = env.get("XDG_STATE_HOME") or Path(env.get("HOME") or "~").expanduser() / ".local/state"
    return UnfinishedUploads(Path(state) / "khronika" / "uploads")
