"""Roles of the site, whose default privileges give them everything on each new object."""

import logging
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, Engine, event, text

from pipeline.operations.schema_check import check_catalogue
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.migrate import migrate
from pipeline.runtime.stranger_grants import generous_defaults
from tests.integration.schema.conftest import entered
from tests.shared_run import Databases
from transcoder.schema_history import TRANSCODER_HISTORY

STRANGERS = ("anon", "authenticated", "service_role")
SCHEMAS = ("public", "transcoder")
RIGHTS = """
    SELECT format('%%s on %%s to %%s', x.privilege_type, thing, coalesce(r.rolname, 'PUBLIC'))
    FROM (SELECT oid::regclass::text AS thing, relowner AS owner, relacl AS acl FROM pg_class
          WHERE relnamespace::regnamespace::text = ANY (%(schemas)s)
          UNION ALL
          SELECT c.oid::regclass || '.' || a.attname, c.relowner, a.attacl
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
          WHERE relnamespace::regnamespace::text = ANY (%(schemas)s)
          UNION ALL
          SELECT oid::regprocedure::text, proowner, coalesce(proacl, acldefault('f', proowner))
          FROM pg_proc WHERE pronamespace::regnamespace::text = ANY (%(schemas)s)) o,
         aclexplode(acl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
    WHERE x.grantee <> owner AND coalesce(r.rolname, '') NOT LIKE 'khronika%%'
      AND thing <> 'site_posts'
"""


@pytest.fixture
def generous_url(databases: Databases, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database like one of Supabase's, with a table of the site's own."""
    name = f"khronika_generous_{id(request)}"
    url = databases.make(name)
    make_generous(databases, url)
    yield url
    databases.drop(name)


def make_generous(databases: Databases, url: str) -> None:
    """Give the site's roles everything on each new object, and make a table of the site's."""
    with psycopg.connect(databases.admin_url, autocommit=True) as admin:
        for role in STRANGERS:
            if not admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchall():
                bypass = "BYPASSRLS" if role == "service_role" else "NOBYPASSRLS"
                admin.execute(
                    sql.SQL("CREATE ROLE {} NOLOGIN {}").format(
                        sql.Identifier(role), sql.SQL(bypass)
                    )
                )
    with psycopg.connect(url, autocommit=True) as owner:
        for schema in ("", " IN SCHEMA public"):
            for things in ("TABLES", "SEQUENCES", "FUNCTIONS"):
                owner.execute(
                    f"ALTER DEFAULT PRIVILEGES{schema} GRANT ALL ON {things}"
                    " TO anon, authenticated, service_role"
                )
        owner.execute("CREATE TABLE site_posts (id int)")


def rights(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(RIGHTS, {"schemas": list(SCHEMAS)}).fetchall()
    return sorted(right for (right,) in found)


def test_no_role_of_the_site_has_a_right_on_an_object_of_ours(
    generous_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        migrate(PIPELINE_HISTORY, generous_url)
        migrate(TRANSCODER_HISTORY, generous_url)
    assert rights(generous_url) == []
    assert "TABLE public.alembic_version from anon" in caplog.text
    assert "FUNCTION public.public_assets(wanted uuid[]) from anon" in caplog.text
    with entered(generous_url) as connection:
        assert check_catalogue(connection) == []
    with psycopg.connect(generous_url) as owner:
        [(kept,)] = owner.execute("SELECT has_table_privilege('anon', 'site_posts', 'INSERT')")
        assert kept, "the site's own tables are the site's business"


def test_no_migration_commits_an_object_that_is_open_to_a_role_of_the_site(
    generous_url: str,
) -> None:
    open_ones: list[list[str]] = []

    def look(connection: Connection) -> None:
        open_ones.append(rights(generous_url))

    event.listen(Engine, "commit", look)  # its own connection has not committed yet
    event.listen(Engine, "begin", look)
    try:
        migrate(PIPELINE_HISTORY, generous_url)
        migrate(TRANSCODER_HISTORY, generous_url)
    finally:
        event.remove(Engine, "commit", look)
        event.remove(Engine, "begin", look)
    assert len(open_ones) >= 4
    assert [found for found in open_ones if found] == []


def test_the_migration_and_the_doctor_say_which_defaults_are_generous(
    generous_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        migrate(PIPELINE_HISTORY, generous_url)
    for said in ("anon get", "on new tables of", "in schema public", "on new functions of"):
        assert said in caplog.text
    with entered(generous_url) as connection:
        found = generous_defaults(connection)
    assert {line.split()[0] for line in found} == set(STRANGERS)
    assert len(found) == 2 * 3 * len(STRANGERS)


def test_partitions_that_are_made_later_are_closed_too(generous_url: str) -> None:
    migrate(PIPELINE_HISTORY, generous_url)
    with psycopg.connect(generous_url) as owner:
        [(made,)] = owner.execute("SELECT khronika_make_event_partitions(24)")
    assert made > 0
    assert rights(generous_url) == []


def test_a_right_given_by_hand_is_found_by_the_check_and_revoked_by_the_next_run(
    generous_url: str,
) -> None:
    migrate(PIPELINE_HISTORY, generous_url)
    given = (
        "GRANT UPDATE ON alembic_version TO anon",
        "GRANT SELECT (owner_id) ON video_assets TO PUBLIC",
        "GRANT EXECUTE ON FUNCTION khronika_cards(uuid[]) TO PUBLIC",
        "GRANT USAGE ON SEQUENCE audit_events_id_seq TO anon WITH GRANT OPTION",
    )
    with psycopg.connect(generous_url) as owner:
        for statement in given:
            owner.execute(statement)
    with entered(generous_url) as connection:
        found = {finding.name for finding in check_catalogue(connection)}
    assert found == {
        *("alembic_version.anon", "video_assets.PUBLIC", "khronika_cards(uuid[]).PUBLIC"),
        "audit_events_id_seq.anon",
    }

    migrate(PIPELINE_HISTORY, generous_url)

    with entered(generous_url) as connection:
        assert check_catalogue(connection) == []


def test_functions_with_their_owners_rights_search_no_schema_of_the_caller(
    generous_url: str,
) -> None:
    migrate(PIPELINE_HISTORY, generous_url)
    migrate(TRANSCODER_HISTORY, generous_url)
    with entered(generous_url) as connection:
        paths = connection.execute(
            text("""
                SELECT proname, array_to_string(proconfig, ', ') FROM pg_proc
                WHERE prosecdef AND pronamespace::regnamespace::text IN ('public', 'transcoder')
            """)
        ).all()
    assert len(paths) >= 5
    assert {path for _, path in paths} == {"search_path=pg_catalog, public, pg_temp"}
