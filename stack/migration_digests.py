"""The digests of the migrations, which are never edited: ``python -m stack.migration_digests``.

A database remembers the number of a migration, not its content. One that is edited would leave two
schemas of the same number.
"""

import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from cli.database_schemas import HISTORIES

NAME = "digests.sha256"
"""The file of a history's digests, in its folder; ``sha256sum --check`` reads it there."""
COMMAND = "python -m stack.migration_digests"


def problems_of(folder: Path) -> Iterator[str]:
    """Describe each migration that differs from its digest, is missing, or has none."""
    recorded, actual = recorded_digests(folder), actual_digests(folder)
    for name in sorted({**recorded, **actual}):
        if name not in actual:
            yield f"{name} is missing: databases have it, restore it"
        elif name not in recorded:
            yield f"{name} has no digest: run {COMMAND}"
        elif recorded[name] != actual[name]:
            yield f"{name} was edited: restore it, and write a migration after the newest one"


def recorded_digests(folder: Path) -> Mapping[str, str]:
    """Return the recorded digest of each migration of a history."""
    file = folder / NAME
    lines = file.read_text().splitlines() if file.exists() else []
    pairs = (line.split("  ", 1) for line in lines)
    return {name: digest for digest, name in pairs}


def actual_digests(folder: Path) -> Mapping[str, str]:
    """Return the digest of each migration of a history, as it is now."""
    files = sorted((folder / "versions").glob("*.py"))
    return {str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest() for file in files}


def record_new(folder: Path) -> None:
    """Record the migrations that have no digest; a recorded one is never replaced."""
    digests = {**actual_digests(folder), **recorded_digests(folder)}
    lines = (f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    (folder / NAME).write_text("".join(lines))


if __name__ == "__main__":
    for history in HISTORIES.values():
        record_new(history.folder)
    wrong = [line for history in HISTORIES.values() for line in problems_of(history.folder)]
    sys.exit("\n".join(wrong) or 0)
