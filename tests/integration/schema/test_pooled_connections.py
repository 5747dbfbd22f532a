"""A connection that served one owner knows nothing of her when it serves the next."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from pipeline.runtime.database import session_of, user_session, with_driver
from tests.integration.schema.conftest import ALICE, BOB, Belongings

SEEN = text("SELECT owner_id FROM video_assets UNION ALL SELECT owner_id FROM uploads")
BACKEND = text("SELECT pg_backend_pid()")

FAILURES = {
    "a wrong statement": ("SELECT no_such_column FROM video_assets", ProgrammingError),
    "a refused one": ("DELETE FROM video_assets", ProgrammingError),
    "a constraint": ("INSERT INTO owner_usage VALUES ('alice', NULL)", IntegrityError),
    "the server's word": ("SELECT pg_terminate_backend(pg_backend_pid())", OperationalError),
}
"""How a transaction may end in its middle."""

HOSTILE = [
    "' OR true --",
    "'; SET ROLE khronika_operator; --",
    "alice'; SELECT set_config('khronika.user_id', 'bob', false); --",
    "alice' OR owner_id = 'bob",
    "alice\\0bob",
    "\\'; RESET ALL; --",
    "$$alice$$",
    "%(user_id)s",
    ":user_id",
    "ALICE",
    " alice",
    "alice ",
    "аlice",  # noqa: RUF001 - its first letter is Cyrillic
    "ali\u200bce",
    "\N{FACE WITH TEARS OF JOY}" * 32,
    "x" * 128,
    "alice\n",
]
"""User ids that an issuer might put into a token."""


def seen(session: Session) -> set[str]:
    return set(session.scalars(SEEN))


@pytest.fixture
def one_connection(role_urls: Mapping[str, str]) -> Iterator[Engine]:
    engine = create_engine(with_driver(role_urls["api"]), pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


def test_what_follows_an_owner_on_her_connection_sees_nothing(
    one_connection: Engine, belongings: Mapping[str, Belongings]
) -> None:
    with user_session(one_connection, ALICE) as session:
        first = session.scalar(BACKEND)
        assert seen(session) == {ALICE}

    with session_of(one_connection) as session:
        assert session.scalar(BACKEND) == first
        assert session.scalar(text("SELECT current_setting('khronika.user_id', true)")) == ""
        assert seen(session) == set()
    with user_session(one_connection, BOB) as session:
        assert session.scalar(BACKEND) == first
        assert seen(session) == {BOB}


@pytest.mark.parametrize(("statement", "error"), FAILURES.values(), ids=FAILURES.keys())
def test_a_transaction_that_ends_in_its_middle_leaves_nothing(
    one_connection: Engine,
    belongings: Mapping[str, Belongings],
    statement: str,
    error: type[Exception],
) -> None:
    with pytest.raises(error), user_session(one_connection, ALICE) as session:
        session.execute(text(statement))

    with session_of(one_connection) as session:
        assert seen(session) == set()


def test_a_request_that_breaks_off_leaves_nothing(
    one_connection: Engine, belongings: Mapping[str, Belongings]
) -> None:
    with pytest.raises(KeyError), user_session(one_connection, ALICE):
        raise KeyError

    with session_of(one_connection) as session:
        assert seen(session) == set()


@pytest.mark.parametrize("user_id", HOSTILE)
def test_a_hostile_user_id_is_only_a_name(
    one_connection: Engine, belongings: Mapping[str, Belongings], user_id: str
) -> None:
    with user_session(one_connection, user_id) as session:
        assert session.scalar(text("SELECT current_setting('khronika.user_id')")) == user_id
        assert session.scalar(text("SELECT current_user")) == "khronika_api"
        assert seen(session) == set()

    with session_of(one_connection) as session:
        assert seen(session) == set()


@pytest.mark.parametrize("connections", [1, 2])
def test_owners_who_take_turns_on_few_connections_each_see_their_own(
    role_urls: Mapping[str, str], belongings: Mapping[str, Belongings], connections: int
) -> None:
    engine = create_engine(with_driver(role_urls["api"]), pool_size=connections, max_overflow=0)

    def ask(number: int) -> tuple[str, set[str], int]:
        owner = (ALICE, BOB, "")[number % 3]
        with user_session(engine, owner) as session:
            return owner, seen(session), session.scalar(BACKEND) or 0

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(240)))
    engine.dispose()

    assert all(found == ({owner} - {""}) for owner, found, _ in answers)
    assert len({backend for *_, backend in answers}) <= connections
