"""The checks of the database: logins, schema, clock, and the rows that the settings need."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.check_failed import CheckFailed
from pipeline.domain.errors import Unprocessable
from pipeline.operations.schema_check import check_catalogue
from pipeline.process_settings import DoctorSettings
from pipeline.records.cache_purges import owed_purges
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.records.site_posts import Posts, check_posts
from pipeline.runtime.database import make_engine, takes_writes
from pipeline.runtime.stranger_grants import generous_defaults

MAX_PURGE_AGE_SEC = 60.0
"""A purge takes seconds; one that is older has been refused."""
MAX_CLOCK_DIFFERENCE_SEC = 5.0
"""Leases and deadlines use the database's clock, tokens and callbacks this machine's. The strictest
comparison between the two tolerates 30 s."""


def check_role(settings: DoctorSettings, role: str) -> str:
    """Log in as a role; check that the login is the role itself."""
    with connected(settings, role) as connection:
        user = connection.scalar(text("SELECT current_user"))
        version = connection.scalar(text("SHOW server_version"))
        writable = takes_writes(connection)
    if user != f"khronika_{role}":
        variable = f"KHRONIKA_{role.upper()}_DATABASE_URL"
        raise CheckFailed(
            f"connects as {user}",
            f"Let {variable} connect as khronika_{role}: the role limits the visible rows.",
        )
    if not writable:
        raise CheckFailed(
            "takes no writes: it is a replica, or default_transaction_read_only is on",
            "Let the login's address lead to the primary, and let that take writes.",
        )
    return f"{user}, PostgreSQL {version}"


def check_migrations(settings: DoctorSettings) -> str:
    """Compare the database's migration with the newest one of this code."""
    with connected(settings, "api") as connection:
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    head = PIPELINE_HISTORY.newest_revision()
    if found != head:
        raise CheckFailed(
            f"at {found}; this code needs {head}",
            "Run `khronika migrate` with DATABASE_URL set to the owner's login.",
        )
    return f"at {found}, the newest"


def check_schema(settings: DoctorSettings) -> str:
    """Compare the live schema, policies and grants with those of the migrations."""
    with connected(settings, "operator") as connection:
        findings = check_catalogue(connection)
        generous = generous_defaults(connection)
    if findings:
        raise CheckFailed(
            "\n".join(map(str, findings)),
            "Undo the changes made by hand, policies and grants first: security depends on them.",
        )
    found = "equal to what the migrations make"
    if generous:
        found += "\ndefault privileges, revoked from our objects: " + "; ".join(generous)
    return found


def check_clock(settings: DoctorSettings) -> str:
    """Compare the database's clock with this machine's."""
    with connected(settings, "worker") as connection:
        connection.execute(text("SELECT 1"))  # so that the time to connect is not counted
        before = datetime.now(UTC)
        theirs = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        after = datetime.now(UTC)
    # Compared with the middle of question and answer, as in Cristian's algorithm (1989).
    apart_sec = (theirs - (before + (after - before) / 2)).total_seconds()
    if abs(apart_sec) > MAX_CLOCK_DIFFERENCE_SEC:
        raise CheckFailed(
            f"the database's clock differs by {apart_sec:+.1f} s from this machine's",
            "Synchronise both clocks with NTP.",
        )
    return f"the database's clock differs by {apart_sec:+.3f} s from this machine's"


def check_posts_table(settings: DoctorSettings) -> str:
    """Check that the site's table of posts, if configured, can be read."""
    rules = settings.api.posts
    if rules.are_first_come_first_served:
        return "no table is configured and tokens name no posts: the first owner gets a post"
    if rules.posts_table is None:
        return "no table is configured; owners' tokens name their posts"
    posts = Posts(rules.posts_table, rules.posts_owner_column)
    for role in ("api", "operator"):
        with connected(settings, role) as connection, Session(connection) as session:
            try:
                check_posts(session, posts)
            except Unprocessable as error:
                raise CheckFailed(
                    str(error), "Check KHRONIKA_POSTS_TABLE and its grants."
                ) from None
    return f"{posts.name}, owned by {posts.owner_column}"


def check_withdrawals(settings: DoctorSettings) -> str:
    """Check that deleted and replaced videos have left storage and CDN in time."""
    with connected(settings, "operator") as connection, Session(connection) as session:
        owed = owed_purges(session)
    if owed.oldest_age_sec > MAX_PURGE_AGE_SEC:
        raise CheckFailed(
            f"{owed.total} are owed to storage or CDN, the oldest for {owed.oldest_age_sec:.0f} s",
            "Read `error` in cache_purges; check KHRONIKA_CDN_PURGE_URL and that workers run.",
        )
    return f"{owed.total} on their way to storage and CDN"


@contextmanager
def connected(settings: DoctorSettings, role: str) -> Iterator[Connection]:
    """Connect as a role.

    Raises:
        CheckFailed: the database does not answer, or refuses the login.
    """
    url = _login(settings, role).get_secret_value()
    engine = make_engine(url, pool_size=1, name="khronika doctor")
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        detail = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        step = (
            f"Check KHRONIKA_{role.upper()}_DATABASE_URL, and that the server runs and is migrated "
            "(`khronika migrate`)."
        )
        raise CheckFailed(detail, step) from None
    finally:
        engine.dispose()


def _login(settings: DoctorSettings, role: str) -> SecretStr:
    logins = {
        "api": settings.api.api_login.url,
        "public": settings.api.public_login.url,
        "operator": settings.operator.operator_login.url,
        "worker": settings.worker.worker_login.url,
    }
    return logins[role]
