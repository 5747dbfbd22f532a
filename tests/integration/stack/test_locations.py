import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stack.home import Home
from stack.postgres_location import prepare_location, remove_data
from stack.process_environment import LIMITS, read_environment
from tests.integration.stack.conftest import Start
from tests.integration.stack.stack_runs import Up


def test_two_stacks_run_side_by_side(start: Start, place: Path) -> None:
    def begin(name: str) -> tuple[Up, Path]:
        home = place / name
        return start(home, env={"LANG": "C"}), home  # PORT is for them to choose

    (one, home_one), (two, home_two) = begin("one"), begin("two")
    assert one.wait_until_ready() != two.wait_until_ready()
    first, second = (read_environment(Home(home)) for home in (home_one, home_two))
    shared = {
        "KHRONIKA_ENV",
        "KHRONIKA_POST_CLAIM",
        "KHRONIKA_SOURCE_ALLOW",
        "KHRONIKA_SOURCE_HTTP",
        "KHRONIKA_SOURCE_PORTS",
    }
    assert {name for name in first if first[name] == second[name]} == shared | set(LIMITS)

    assert one.stop() == 0
    with psycopg.connect(second["DATABASE_URL"]):
        pass
    assert two.stop() == 0


def test_a_second_stack_in_the_same_home_is_refused(start: Start, place: Path) -> None:
    one = start(place)
    one.wait_until_ready()
    two = start(place)
    assert two.ended() == 1
    assert one.process.poll() is None
    assert f"already running from {place}: process {one.process.pid}" in two.output


def test_a_port_that_was_asked_for_and_is_taken_is_named(start: Start, place: Path) -> None:
    one = start(place / "one")
    port = one.wait_until_ready().rpartition(":")[2]
    two = start(place / "two", env={"PORT": port})
    assert two.ended() == 1
    assert f"cannot listen on PORT={port}" in two.output


def place_chosen_by(home: Path) -> Path:
    """Where a home whose data cannot be in it says it is."""
    assert not (home / "postgres").exists()
    return Path((home / "postgres.path").read_text().strip())


@pytest.fixture
def elsewhere() -> Iterator[list[Path]]:
    """Homes whose data, elsewhere on this machine, is removed after the test."""
    homes: list[Path] = []
    yield homes
    for home in homes:
        remove_data(Home(home), prepare_location(Home(home)))


def test_a_home_too_deep_for_a_socket_puts_postgres_elsewhere_and_finds_it_again(
    start: Start, place: Path, elsewhere: list[Path]
) -> None:
    home = place / "deep" / ("x" * 100)
    elsewhere.append(home)
    up = start(home, is_first=True)
    up.wait_until_ready()
    chosen = place_chosen_by(home)
    assert len(str(chosen / "socket" / ".s.PGSQL.5432")) <= 100
    with psycopg.connect(read_environment(Home(home))["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE trace ()")
    assert up.stop() == 0

    start(home, is_first=True).wait_until_ready()
    assert place_chosen_by(home) == chosen
    with psycopg.connect(read_environment(Home(home))["DATABASE_URL"]) as connection:
        connection.execute("SELECT FROM trace")


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sudo make check-system")
def test_a_private_home_stays_private_and_puts_postgres_elsewhere(
    start: Start, place: Path, elsewhere: list[Path]
) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    elsewhere.append(private / "home")
    up = start(private / "home", is_first=True)
    up.wait_until_ready()
    assert place_chosen_by(private / "home").is_dir()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert up.stop() == 0


def test_the_callers_own_postgres_settings_do_not_steer_ours(start: Start, place: Path) -> None:
    foreign = {"PGPORT": "1", "PGHOST": "nowhere", "PGDATA": "/nowhere", "USER": "somebody"}
    start(place, env={"PORT": "0", **foreign}).wait_until_ready()
