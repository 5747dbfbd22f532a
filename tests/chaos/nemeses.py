"""The strikes: each does its harm and returns what undoes it."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from os import environ
from pathlib import Path
from random import Random

import psutil
import psycopg
import redis

from tests.chaos.plan import Fault, Kind
from tests.chaos.proxy import Proxy, Wire
from tests.chaos.signals import kill, resume, suspend
from tests.chaos.stage import WORKERS, Stage, second_beat_line

Recovery = Callable[[], None]
Nemesis = Callable[[Stage, Random], Recovery]

CATCH_SEC = 4.0
"""How long to wait for a worker that is in the middle of a submission."""
AHEAD_OF_PARENT_SEC = 1.5
"""A stopped child runs on before its parent can see that its time is over and kill it."""
SKEWS = ("+600", "-600")
LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"


class Skipped(Exception):
    """The strike cannot be made; says why."""


def strike(stage: Stage, fault: Fault) -> Recovery:
    """Make the strike.

    Raises:
        Skipped: it cannot be made at this moment, or on this machine.
    """
    try:
        return NEMESES[fault.kind](stage, Random(fault.dice))
    except (psycopg.OperationalError, redis.RedisError, psutil.NoSuchProcess) as error:
        raise Skipped("an earlier fault had it down already") from error


def _nothing() -> None:
    """What was killed is restarted by its own parent."""


def kill_web(stage: Stage, _dice: Random) -> Recovery:
    stage.fleet.kill("web", whole=True)
    return partial(stage.fleet.revive, "web")


def kill_worker_parent(stage: Stage, dice: Random) -> Recovery:
    name = dice.choice(WORKERS)
    stage.fleet.kill(name, whole=False)
    return partial(stage.fleet.revive, name)


def kill_beat(stage: Stage, _dice: Random) -> Recovery:
    stage.fleet.kill("beat", whole=True)
    return partial(stage.fleet.revive, "beat")


def kill_web_worker(stage: Stage, dice: Random) -> Recovery:
    return _kill_child(stage, "web", dice)


def kill_worker_child(stage: Stage, dice: Random) -> Recovery:
    return _kill_child(stage, dice.choice(WORKERS), dice)


def _kill_child(stage: Stage, name: str, dice: Random) -> Recovery:
    children = stage.fleet.children(name)
    if not children:
        raise Skipped(f"{name} had no child at that moment")
    kill(dice.choice(children))
    return _nothing


def two_beats(stage: Stage, _dice: Random) -> Recovery:
    if "beat-2" not in stage.fleet.members:
        stage.fleet.add("beat-2", second_beat_line())
    return partial(stage.fleet.drop, "beat-2")


def stale_writer(stage: Stage, dice: Random) -> Recovery:
    """Stop a worker in the middle of a submission, with its whole pool, as a paused machine would.

    The parent too: it kills a child that is past its time limit, which is below the lease.
    """
    caught = _submitting(stage)
    stage.notes["stopped in the middle of a submission"] += caught is not None
    name = caught or dice.choice(WORKERS)
    parent, children = stage.fleet.process(name), stage.fleet.children(name)
    if parent is None or not children:
        raise Skipped(f"{name} was down at that moment")
    for process in (parent, *children):
        suspend(process)

    def recover() -> None:
        for child in children:
            resume(child)
        stage.later(AHEAD_OF_PARENT_SEC, partial(resume, parent))

    return recover


def _submitting(stage: Stage) -> str | None:
    """The worker whose submission the provider holds back, once one comes."""
    stage.hold_next()
    deadline = time.monotonic() + CATCH_SEC
    while time.monotonic() < deadline:
        held = set(stage.holding())
        for name in WORKERS if held else ():
            for child in stage.fleet.children(name):
                if held & _ports_of(child):
                    return name
        stage.tend()
        time.sleep(0.02)
    return None


def _ports_of(process: psutil.Process) -> set[int]:
    try:
        return {connection.laddr.port for connection in process.net_connections("tcp")}
    except psutil.Error:
        return set()


def skew_clock(stage: Stage, dice: Random) -> Recovery:
    library = find_libfaketime()
    if library is None:
        raise Skipped("libfaketime is not installed")
    name = dice.choice(WORKERS)
    skew = {
        "LD_PRELOAD": library,
        "FAKETIME": dice.choice(SKEWS),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    stage.fleet.kill(name, whole=True)
    stage.fleet.revive(name, **skew)

    def recover() -> None:
        stage.fleet.kill(name, whole=True)
        stage.fleet.revive(name)

    return recover


def find_libfaketime() -> str | None:
    """The library that skews clocks, where Debian puts it or ``LIBFAKETIME`` says."""
    named = environ.get("LIBFAKETIME")
    found = [named] if named else map(str, Path("/").glob(LIBRARIES.lstrip("/")))
    return next(iter(found), None)


def flush_broker(stage: Stage, _dice: Random) -> Recovery:
    stage.broker.flush()
    return _nothing


def kill_broker(stage: Stage, _dice: Random) -> Recovery:
    stage.broker.crash()
    return stage.broker.start


def crash_postgres(stage: Stage, _dice: Random) -> Recovery:
    stage.postgres.crash()
    return stage.postgres.start


def end_backends(stage: Stage, dice: Random) -> Recovery:
    with stage.postgres.connect() as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE usename LIKE 'khronika%'"
        ).fetchall()
        chosen = dice.sample(rows, (len(rows) + 1) // 2)
        for (pid,) in chosen:
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    return _nothing


def _on_wire(choose: Callable[[Stage], Proxy], wire: Wire) -> Nemesis:
    def cut(stage: Stage, _dice: Random) -> Recovery:
        proxy = choose(stage)
        proxy.set(wire)
        return partial(proxy.set, Wire.PASS)

    return cut


def _database(stage: Stage) -> Proxy:
    return stage.postgres.proxy


def _broker(stage: Stage) -> Proxy:
    return stage.broker.proxy


NEMESES: Mapping[Kind, Nemesis] = {
    Kind.KILL_WEB: kill_web,
    Kind.KILL_WEB_WORKER: kill_web_worker,
    Kind.KILL_WORKER_PARENT: kill_worker_parent,
    Kind.KILL_WORKER_CHILD: kill_worker_child,
    Kind.KILL_BEAT: kill_beat,
    Kind.TWO_BEATS: two_beats,
    Kind.STALE_WRITER: stale_writer,
    Kind.SKEW_CLOCK: skew_clock,
    Kind.FLUSH_BROKER: flush_broker,
    Kind.KILL_BROKER: kill_broker,
    Kind.CRASH_POSTGRES: crash_postgres,
    Kind.END_BACKENDS: end_backends,
    Kind.DATABASE_LATENCY: _on_wire(_database, Wire.LATENCY),
    Kind.DATABASE_RESET: _on_wire(_database, Wire.RESET),
    Kind.DATABASE_BLACK_HOLE: _on_wire(_database, Wire.BLACK_HOLE),
    Kind.DATABASE_HALF_OPEN: _on_wire(_database, Wire.HALF_OPEN),
    Kind.BROKER_LATENCY: _on_wire(_broker, Wire.LATENCY),
    Kind.BROKER_RESET: _on_wire(_broker, Wire.RESET),
    Kind.BROKER_BLACK_HOLE: _on_wire(_broker, Wire.BLACK_HOLE),
    Kind.BROKER_HALF_OPEN: _on_wire(_broker, Wire.HALF_OPEN),
}
