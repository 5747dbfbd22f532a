"""Runner of Alembic migrations, for the one process that migrates.

A module of its own, because importing Alembic takes a tenth of a process's start.
"""

import logging

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, func, select
from sqlalchemy.schema import CreateSchema

from pipeline.runtime.database import with_driver
from pipeline.runtime.migration_history import MigrationHistory
from pipeline.runtime.stranger_grants import generous_defaults, revoke_strangers

_log = logging.getLogger(__name__)


def migrate(history: MigrationHistory, owner_url: str, revision: str = "head") -> str | None:
    """Bring a schema to a revision: up, or down if the revision is older than the current one.

    Afterwards no role but ours and the owner has a right on the schema's objects. The migrations
    and the revocation are one transaction, so that no new object is ever open to a role that a
    site's default privileges name. Revoked rights are logged, and so are the default privileges.

    One migration runs at a time; a second caller waits for the first and finds nothing to do.

    Args:
        history: The schema's migrations.
        owner_url: Login that may create schemas and roles; any PostgreSQL URL, also
            `postgresql+psycopg://user@/db?host=/socket/folder`.
        revision: `head`, `base`, or the number of a revision.

    Returns:
        The revision that the schema had; None if it had none.
    """
    engine = create_engine(with_driver(owner_url))
    config = Config()
    config.set_main_option("script_location", str(history.folder))
    try:
        with engine.connect() as connection:
            connection.execute(select(func.pg_advisory_lock(func.hashtext(history.lock))))
            if history.schema is not None:
                connection.execute(CreateSchema(history.schema, if_not_exists=True))
            connection.commit()
            config.attributes["connection"] = connection
            before = _revision(connection, history)
            is_older = _is_older(revision, before)
            (command.downgrade if is_older else command.upgrade)(config, revision)
            if revoked := revoke_strangers(connection, history):
                _log.warning("revoked the rights of foreign roles: %s", "; ".join(revoked))
            if generous := generous_defaults(connection):
                _log.warning("default privileges of this database: %s", "; ".join(generous))
            connection.commit()
            return before
    finally:
        engine.dispose()


def _revision(connection: Connection, history: MigrationHistory) -> str | None:
    opts = {"version_table_schema": history.schema}
    return MigrationContext.configure(connection, opts=opts).get_current_revision()


def _is_older(revision: str, current: str | None) -> bool:
    if current is None or revision == "head":
        return False
    return revision == "base" or revision < current
