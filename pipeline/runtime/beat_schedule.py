"""The schedule file of a beat, in a folder that the beat makes itself."""

from pathlib import Path
from typing import Any

from celery.beat import PersistentScheduler


class MadeFolderScheduler(PersistentScheduler):  # type: ignore[misc]  # Celery has no types
    """A schedule whose folder need not exist: nothing in its file must survive a restart."""

    schedule_filename: str

    def setup_schedule(self) -> Any:
        """Make the folder, closed to other users, and open the file."""
        Path(self.schedule_filename).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return super().setup_schedule()
