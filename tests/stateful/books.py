"""The rows and the scripted provider's jobs, read in one piece."""

from datetime import datetime

from sqlalchemy import Engine

from tests.laws.books import ALWAYS, Books, JobEntry, read_books
from tests.scripted_provider import ScriptedProvider

BLACK_POSTER = "black.jpg"


def books_of(engine: Engine, provider: ScriptedProvider, *, since: datetime = ALWAYS) -> Books:
    """Read every row as of one instant.

    Args:
        since: Leave out assets, and all that is theirs, from before this instant.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows = connection.connection.driver_connection
        assert rows is not None
        return read_books(rows, jobs_of(provider), since=since)


def jobs_of(provider: ScriptedProvider) -> list[JobEntry]:
    """Return the jobs in the provider's books, which keep no times."""
    return [
        JobEntry(
            str(id_),
            job["status"],
            playable=_is_playable(job),
            given_up=id_ in provider.cancelled,
        )
        for id_, job in provider.jobs.items()
    ]


def _is_playable(job: dict[str, object]) -> bool:
    return job["status"] == "completed" and BLACK_POSTER not in str(job["result"])
