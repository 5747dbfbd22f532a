import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import redis

from stack.home import Home
from stack.postgres_location import prepare_location
from stack.process_environment import read_environment
from tests.conditions import wait_until
from tests.integration.stack.conftest import Start
from tests.integration.stack.stack_runs import gone, kill


def leave_a_trace(home: Path) -> None:
    """A committed row and a message."""
    environment = read_environment(Home(home))
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE trace AS SELECT 'kept' AS what")
    with closing(redis.Redis.from_url(environment["BROKER_URL"])) as client:
        client.rpush("trace", "kept")


def assert_the_trace_is_there(home: Path) -> None:
    environment = read_environment(Home(home))
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT what FROM trace").fetchall() == [("kept",)]
    with closing(redis.Redis.from_url(environment["BROKER_URL"])) as client:
        assert client.lrange("trace", 0, -1) == [b"kept"]


def test_a_run_whose_every_process_was_killed_is_recovered(start: Start, place: Path) -> None:
    up = start(place)
    up.wait_until_ready()
    leave_a_trace(place)
    secrets = (place / "secrets.json").read_text()
    family = up.family()
    kill(family)
    wait_until(lambda: gone(family), "all are dead")
    postgres = prepare_location(Home(place))
    assert (postgres.data / "postmaster.pid").exists()
    assert list(postgres.socket.glob(".s.PGSQL.*"))

    again = start(place)
    again.wait_until_ready()
    assert_the_trace_is_there(place)
    assert (place / "secrets.json").read_text() == secrets
    assert again.stop() == 0


def test_processes_that_outlived_a_killed_run_are_ended_by_the_next(
    start: Start, place: Path
) -> None:
    up = start(place)
    up.wait_until_ready()
    leave_a_trace(place)
    leader, *children = up.family()
    for process in children:
        process.suspend()  # deaf to the kernel's word that their parent is gone
    kill([leader])
    assert not gone(children)

    try:
        again = start(place)
        again.wait_until_ready()
        assert gone(children)
        assert_the_trace_is_there(place)
    finally:
        kill(children)


@contextmanager
def a_process_of(user: str | None) -> Iterator[int]:
    """The id of somebody's process that has nothing to do with us."""
    command = ["/bin/sleep", "600"]
    with subprocess.Popen(command, user=user, extra_groups=[] if user else None) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_stale_process_id_that_belongs_to_somebody_else_by_now_is_no_obstacle(
    start: Start, place: Path
) -> None:
    up = start(place)
    up.wait_until_ready()
    up.stop()
    postgres = prepare_location(Home(place))
    with a_process_of(postgres.user) as number:
        # What remains when a machine or container is cut off and its numbers are given out anew.
        stale = postgres.data / "postmaster.pid"
        stale.write_text(f"{number}\n{postgres.data}\n1700000000\n5432\n{postgres.socket}\n\n\n")
        found = postgres.data.stat()
        os.chown(stale, found.st_uid, found.st_gid)

        again = start(place)
        again.wait_until_ready()


def test_a_first_start_that_was_killed_half_way_is_begun_anew(start: Start, place: Path) -> None:
    half = prepare_location(Home(place)).root / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")

    up = start(place, is_first=True)
    up.wait_until_ready()
