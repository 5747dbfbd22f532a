"""Callback secrets as rows: first ones, rotation with an overlap, never more than two."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from pipeline.domain.errors import Conflict
from pipeline.net.signatures import make_secret
from pipeline.providers.active_secrets import FRESH_SEC, SecretBook, SecretsUnreadable
from pipeline.providers.callback_secrets import (
    Rotated,
    active,
    list_secrets,
    retire_secret,
    rotate_secret,
    seed_secrets,
)
from pipeline.providers.secret_sealing import Vault
from pipeline.records.models import AuditEvent, ProviderSecret
from pipeline.runtime.database import make_engine, session_of

ACCOUNT = "selfhosted"
VAULT = Vault("k" * 32)
FIRST = "whsec_Zmlyc3Qgc2VjcmV0IG9mIHRoZSBzZXR0aW5ncw=="
SECOND = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgc2V0dGluZ3M="
OVERLAP_SEC = 48 * 3600
STRANGER = {"provider": ACCOUNT, "secret": b"x"}


@pytest.fixture
def operator(role_urls: Mapping[str, str]) -> Iterator[Engine]:
    engine = make_engine(role_urls["operator"], pool_size=10)
    yield engine
    engine.dispose()


@pytest.fixture
def api(role_urls: Mapping[str, str]) -> Iterator[Engine]:
    engine = make_engine(role_urls["api"])
    yield engine
    engine.dispose()


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def open_book(
    api: Engine, operator: Engine, clock: Clock, *first: str, vault: Vault = VAULT
) -> SecretBook:
    return SecretBook(
        vault,
        reading=api,
        seeding=operator,
        first={ACCOUNT: first},
        overlap_sec=OVERLAP_SEC,
        clock=clock,
    )


def rotate(
    operator: Engine, overlap_sec: float = OVERLAP_SEC, secret: str | None = None
) -> Rotated:
    with session_of(operator) as session:
        return rotate_secret(
            session,
            VAULT,
            ACCOUNT,
            overlap_sec=overlap_sec,
            actor="operator:olga",
            secret=secret or make_secret(),
        )


def count_active(operator: Engine) -> int:
    with session_of(operator) as session:
        return session.scalars(select(func.count()).where(active(ACCOUNT))).one()


def test_the_first_secrets_come_from_the_settings_and_from_then_on_the_rows_decide(
    api: Engine, operator: Engine, clock: Clock
) -> None:
    assert open_book(api, operator, clock, FIRST, SECOND).active(ACCOUNT) == (FIRST, SECOND)
    assert open_book(api, operator, clock, SECOND).active(ACCOUNT) == (FIRST, SECOND)
    with session_of(operator) as session:
        assert not seed_secrets(session, VAULT, ACCOUNT, [SECOND], overlap_sec=1)


def test_no_secret_stands_in_a_row_as_it_is(api: Engine, operator: Engine, clock: Clock) -> None:
    open_book(api, operator, clock, FIRST).read_all()
    with session_of(operator) as session:
        (row,) = list_secrets(session)
    assert FIRST.removeprefix("whsec_").encode() not in row.secret
    assert b"first secret" not in row.secret


def test_an_account_without_any_secret_believes_nobody(
    api: Engine, operator: Engine, clock: Clock
) -> None:
    assert open_book(api, operator, clock).active(ACCOUNT) == ()


def test_a_rotation_is_seen_in_seconds_and_both_verify_until_the_overlap_is_over(
    api: Engine, operator: Engine, clock: Clock
) -> None:
    book = open_book(api, operator, clock, FIRST)
    book.read_all()

    rotated = rotate(operator)
    clock.now += FRESH_SEC

    assert book.active(ACCOUNT) == (rotated.secret, FIRST)
    assert rotated.previous_retires_at is not None
    left = rotated.previous_retires_at - datetime.now(UTC)
    assert timedelta(hours=47) < left < timedelta(hours=49)
    with session_of(operator) as session:
        row = session.scalars(select(AuditEvent)).one()
    assert (row.type, row.actor, row.provider) == ("secret_rotated", "operator:olga", ACCOUNT)
    assert row.detail == {"secret_id": str(rotated.id)}

    _end_overlap(operator)
    clock.now += FRESH_SEC
    assert book.active(ACCOUNT) == (rotated.secret,)


def _end_overlap(operator: Engine) -> None:
    with session_of(operator) as session:
        session.execute(
            update(ProviderSecret)
            .where(ProviderSecret.retires_at.is_not(None))
            .values(retires_at=func.now())
        )


def test_retiring_ends_the_overlap_at_once_and_never_takes_the_newest(
    api: Engine, operator: Engine, clock: Clock
) -> None:
    open_book(api, operator, clock, FIRST).read_all()
    rotated = rotate(operator)

    with session_of(operator) as session:
        retire_secret(session, ACCOUNT, actor="operator:olga")

    assert open_book(api, operator, clock).active(ACCOUNT) == (rotated.secret,)
    with session_of(operator) as session, pytest.raises(Conflict) as refused:
        retire_secret(session, ACCOUNT, actor="operator:olga")
    assert refused.value.code == "nothing_to_retire"
    with session_of(operator) as session:
        types = session.scalars(select(AuditEvent.type).order_by(AuditEvent.id)).all()
    assert types == ["secret_rotated", "secret_retired"]


def test_a_second_rotation_waits_for_the_first_ones_overlap(operator: Engine) -> None:
    rotate(operator)
    rotate(operator)
    with pytest.raises(Conflict) as refused:
        rotate(operator)
    assert refused.value.code == "rotation_in_progress"
    _end_overlap(operator)
    rotate(operator)
    assert count_active(operator) == 2


def test_a_secret_that_the_provider_made_is_taken_as_it_is(
    api: Engine, operator: Engine, clock: Clock
) -> None:
    assert rotate(operator, secret=SECOND).secret == SECOND
    assert open_book(api, operator, clock).active(ACCOUNT) == (SECOND,)


def test_of_many_rotations_at_once_no_more_than_two_secrets_come_to_be_active(
    operator: Engine,
) -> None:
    together = threading.Barrier(8)

    def one(_: int) -> bool:
        together.wait()
        try:
            rotate(operator)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as callers:
        done = sum(callers.map(one, range(8)))

    assert done == 2
    assert count_active(operator) == 2


@pytest.mark.parametrize("retires_at", [None, "2099-01-01T00:00:00Z"])
def test_whoever_writes_rows_past_the_use_case_is_refused_a_third(
    operator: Engine, retires_at: str | None
) -> None:
    rotate(operator)
    rotate(operator)
    with pytest.raises(IntegrityError), session_of(operator) as session:
        session.execute(
            insert(ProviderSecret).values(id=uuid4(), retires_at=retires_at, **STRANGER)
        )


def test_two_that_write_past_the_use_case_at_once_are_refused_too(operator: Engine) -> None:
    rotate(operator)
    numbers, together = count(), threading.Barrier(4)

    def one(_: int) -> bool:
        at = datetime(2099, 1, 1 + next(numbers), tzinfo=UTC)
        try:
            with session_of(operator) as session:
                session.execute(text("SELECT 1"))
                together.wait()
                session.execute(
                    insert(ProviderSecret).values(id=uuid4(), retires_at=at, **STRANGER)
                )
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(4) as callers:
        assert sum(callers.map(one, range(4))) == 1
    assert count_active(operator) == 2


def test_a_retired_secret_is_not_brought_back_beside_two_others(operator: Engine) -> None:
    rotate(operator)
    rotate(operator)
    _end_overlap(operator)
    rotate(operator)
    with pytest.raises(IntegrityError), session_of(operator) as session:
        session.execute(
            update(ProviderSecret)
            .where(ProviderSecret.retires_at <= func.now())
            .values(retires_at=datetime(2099, 1, 1, tzinfo=UTC))
        )


def test_receiving_costs_no_statement_while_the_page_is_fresh(
    api: Engine, operator: Engine, clock: Clock
) -> None:
    book = open_book(api, operator, clock, FIRST)
    book.read_all()
    statements: list[str] = []
    event.listen(api, "before_cursor_execute", lambda *a: statements.append(a[2]))
    for _ in range(100):
        book.active(ACCOUNT)
    assert statements == []
    clock.now += FRESH_SEC
    book.active(ACCOUNT)
    assert len(statements) == 1


def test_when_the_database_is_away_and_the_page_is_stale_nobody_guesses(
    operator: Engine, clock: Clock
) -> None:
    nowhere = make_engine("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(OperationalError):
        open_book(nowhere, operator, clock, FIRST).active(ACCOUNT)


def test_another_key_is_told_by_the_name_of_its_variable(
    api: Engine, operator: Engine, clock: Clock
) -> None:
    open_book(api, operator, clock, FIRST).read_all()
    with pytest.raises(SecretsUnreadable) as refused:
        open_book(api, operator, clock, vault=Vault("o" * 32)).active(ACCOUNT)
    assert "KHRONIKA_SECRET_KEY does not open the callback secrets" in str(refused.value)
    changed = Vault("o" * 32, ["k" * 32])
    assert open_book(api, operator, clock, vault=changed).active(ACCOUNT) == (FIRST,)


def test_the_api_reads_secrets_and_writes_none(api: Engine, operator: Engine) -> None:
    rotate(operator)
    for statement in (
        insert(ProviderSecret).values(id=uuid4(), **STRANGER),
        update(ProviderSecret).values(retires_at=func.now()),
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), session_of(api) as session:
            session.execute(statement)
