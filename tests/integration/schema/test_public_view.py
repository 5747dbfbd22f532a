from collections.abc import Mapping
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, text

from pipeline.catalogue import TABLES
from pipeline.database import session_of, user_session
from tests.integration.schema.conftest import ALICE, BOB, Belongings

VIEW = text("SELECT * FROM public_assets(:wanted)")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["SELECT count(*) FROM {}", "DELETE FROM {}"])
def test_the_public_role_reaches_no_table(
    role_urls: Mapping[str, str], table: str, statement: str
) -> None:
    with (
        psycopg.connect(role_urls["public"]) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.format(table))


def test_the_public_role_may_call_one_function_of_ours(role_urls: Mapping[str, str]) -> None:
    with psycopg.connect(role_urls["public"]) as connection:
        callable_ones = connection.execute("""
            SELECT proname FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace AND prorettype <> 'trigger'::regtype
              AND has_function_privilege(oid, 'EXECUTE')
        """).fetchall()

    assert callable_ones == [("public_assets",)]


def test_the_view_shows_the_posts_that_were_asked_for_whoever_owns_them(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    wanted = [belongings[ALICE].post_id, belongings[BOB].post_id, uuid4()]
    with session_of(engines["public"]) as session:
        seen = session.execute(VIEW, {"wanted": wanted}).mappings().all()
        none = session.execute(VIEW, {"wanted": []}).all()

    assert {row["post_id"] for row in seen} == set(wanted[:2])
    assert none == []


def test_the_view_shows_nothing_of_how_it_came_about(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    with session_of(engines["public"]) as session:
        wanted = [belongings[ALICE].post_id]
        row = session.execute(VIEW, {"wanted": wanted}).mappings().one()

    internal = {"owner_id", "source_url", "provider", "provider_job_id", "error_code"}
    assert internal.isdisjoint(row)


def test_a_deleted_asset_is_not_shown(
    engines: Mapping[str, Engine], belongings: Mapping[str, Belongings]
) -> None:
    post_id = belongings[ALICE].post_id
    with user_session(engines["api"], ALICE) as session:
        session.execute(text("UPDATE video_assets SET deleted_at = now()"))

    with session_of(engines["public"]) as session:
        assert session.execute(VIEW, {"wanted": [post_id]}).all() == []
