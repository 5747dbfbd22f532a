"""Wake: a message that starts a task on one row."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Wake:
    """A task to publish after the commit. A hint: losing it costs latency only."""

    queue: str
    task: str
    id: UUID
