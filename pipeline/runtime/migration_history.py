"""Migrations of one schema, as files; `migrate` runs them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MigrationHistory:
    """Migrations of one schema.

    Attributes:
        folder: Folder with Alembic's `env.py` and the `versions`.
        lock: Name of the advisory lock that one migration at a time holds.
        tables: Names of the tables, whose rights belong to our roles alone.
        functions: Patterns (`LIKE`) of the functions' names, likewise.
        schema: Schema to create first, which also holds the version table; None for `public`.
    """

    folder: Path
    lock: str
    tables: Collection[str]
    functions: Collection[str] = ()
    schema: str | None = None

    def newest_revision(self) -> str:
        """Return the revision that this code needs: the number of the last migration's file.

        File names suffice: Alembic would load every migration at each check of readiness.
        """
        files = (self.folder / "versions").glob("[0-9]*.py")
        return max(path.name.partition("_")[0] for path in files)
