import os
from pathlib import Path

import psycopg
import pytest

from stack.environment import read_environment
from stack.home import Home
from stack.postgres_place import forget, settle
from tests.integration.stack.conftest import Start
from tests.integration.stack.stack_runs import Up


def test_two_stacks_run_side_by_side(start: Start, place: Path) -> None:
    def begin(name: str) -> tuple[Up, Path]:
        home = place / name
        return start(home, env={"LANG": "C"}), home  # PORT is for them to choose

    (one, home_one), (two, home_two) = begin("one"), begin("two")
    assert one.wait_until_ready() != two.wait_until_ready()
    first, second = (read_environment(Home(home)) for home in (home_one, home_two))
    shared = {"KHRONIKA_SOURCE_ALLOW", "KHRONIKA_SOURCE_HTTP", "KHRONIKA_TRANSCODER_SOURCE_ALLOW"}
    assert {name for name in first if first[name] == second[name]} == shared

    assert one.stop() == 0
    with psycopg.connect(second["DATABASE_URL"]):
        pass
    assert two.stop() == 0


def test_a_second_stack_in_the_same_home_is_refused(start: Start, place: Path) -> None:
    one = start(place)
    one.wait_until_ready()
    two = start(place)
    assert two.process.wait(60) == 1
    assert one.process.poll() is None


def test_a_port_that_was_asked_for_and_is_taken_is_named(start: Start, place: Path) -> None:
    one = start(place / "one")
    port = one.wait_until_ready().rpartition(":")[2]
    two = start(place / "two", env={"PORT": port})
    assert two.process.wait(60) == 1
    assert f"cannot listen on PORT={port}" in two.output


def run_twice(start: Start, home: Path) -> Path:
    """Run a stack twice from a home whose data must be elsewhere; the place it chose."""
    up = start(home)
    up.wait_until_ready()
    chosen = Path((home / "postgres.path").read_text().strip())
    assert not (home / "postgres").exists()
    with psycopg.connect(read_environment(Home(home))["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE trace ()")
    assert up.stop() == 0

    up = start(home)
    up.wait_until_ready()
    with psycopg.connect(read_environment(Home(home))["DATABASE_URL"]) as connection:
        connection.execute("SELECT FROM trace")
    assert up.stop() == 0
    forget(Home(home), settle(Home(home)))
    return chosen


def test_a_home_too_deep_for_a_socket_puts_postgres_elsewhere(start: Start, place: Path) -> None:
    home = place / "deep" / ("x" * 100)
    chosen = run_twice(start, home)
    assert len(str(chosen / "socket" / ".s.PGSQL.5432")) <= 100


@pytest.mark.system
@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has a server's user; sudo make check-system"
)
def test_a_private_home_stays_private_and_puts_postgres_elsewhere(
    start: Start, place: Path
) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    run_twice(start, private / "home")
    assert private.stat().st_mode & 0o777 == 0o700
