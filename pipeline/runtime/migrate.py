"""The product's migrations, for the one process that runs them.

They stand apart from ``database``, because importing Alembic takes a tenth of a process's start.
"""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from pipeline.runtime.database import MIGRATIONS, with_driver


def migrate(owner_url: str, revision: str = "head") -> None:
    """Bring the schema to ``revision``: up, or down when it lies behind.

    One migration runs at a time; a second caller waits for the first and finds nothing to do.
    """
    engine = create_engine(with_driver(owner_url))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(hashtext('khronika migrations'))"))
            connection.commit()
            config.attributes["connection"] = connection
            if revision == "head" or not _is_behind(connection, revision):
                command.upgrade(config, revision)
            else:
                command.downgrade(config, revision)
            connection.commit()
    finally:
        engine.dispose()


def _is_behind(connection: Connection, revision: str) -> bool:
    current = MigrationContext.configure(connection).get_current_revision()
    return current is not None and (revision == "base" or revision < current)
