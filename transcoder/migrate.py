"""Brings the transcoder's schema to its newest form. Run as the owner, never as the service."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from transcoder.database import with_driver
from transcoder.models import SCHEMA

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(owner_url: str) -> None:
    """Apply every migration not applied yet; nothing happens when there is none.

    Args:
        owner_url: A login that may make schemas and roles; also as
            `postgresql+psycopg://user@/db?host=/socket/folder`.
    """
    _run(owner_url, "upgrade", "head")


def downgrade(owner_url: str) -> None:
    """Undo every migration. The schema, which holds the version table, and the role stay."""
    _run(owner_url, "downgrade", "base")


def _run(owner_url: str, direction: str, revision: str) -> None:
    engine = create_engine(with_driver(owner_url))
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with engine.connect() as connection:
            # One at a time: a second caller waits for the first and finds nothing to do.
            connection.execute(text("SELECT pg_advisory_lock(hashtext('transcoder migrations'))"))
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            connection.commit()
            config.attributes["connection"] = connection
            getattr(command, direction)(config, revision)
            connection.commit()
    finally:
        engine.dispose()
