"""What happens when: every fault and every client's deed of a run, from the seed alone."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from uuid import UUID

ASSETS_PER_MINUTE = 150
"""The rate at which clients create when no length is given: what two cores carry with faults."""
QUIET_SEC = 4.0
"""Before the first fault: something is to be under way when it strikes."""
FAULT_EVERY_SEC = 3.5
"""Mean distance of two faults; shorter than most last, so that they overlap."""
OWNERS = 7


class Kind(StrEnum):
    """A nemesis."""

    KILL_WEB = "kill -9 web"
    KILL_WEB_WORKER = "kill -9 web's worker process"
    KILL_WORKER_PARENT = "kill -9 worker parent"
    KILL_WORKER_CHILD = "kill -9 worker child"
    KILL_BEAT = "kill -9 beat"
    TWO_BEATS = "two beats"
    STALE_WRITER = "worker stopped past its lease"
    SKEW_CLOCK = "worker's clock 10 min off"
    FLUSH_BROKER = "FLUSHALL"
    KILL_BROKER = "kill -9 broker, nothing kept"
    CRASH_POSTGRES = "immediate restart of Postgres"
    END_BACKENDS = "pg_terminate_backend"
    DATABASE_LATENCY = "database: latency"
    DATABASE_RESET = "database: reset"
    DATABASE_BLACK_HOLE = "database: black hole"
    DATABASE_HALF_OPEN = "database: half-open"
    BROKER_LATENCY = "broker: latency"
    BROKER_RESET = "broker: reset"
    BROKER_BLACK_HOLE = "broker: black hole"
    BROKER_HALF_OPEN = "broker: half-open"


LASTS_SEC: Mapping[Kind, tuple[float, float]] = {
    Kind.KILL_WEB: (0.2, 2.0),
    Kind.KILL_WEB_WORKER: (0.0, 0.0),
    Kind.KILL_WORKER_PARENT: (0.2, 2.0),
    Kind.KILL_WORKER_CHILD: (0.0, 0.0),
    Kind.KILL_BEAT: (0.5, 4.0),
    Kind.TWO_BEATS: (6.0, 12.0),
    Kind.STALE_WRITER: (11.0, 13.0),  # longer than the lease of 8 s, and a sweep
    Kind.SKEW_CLOCK: (6.0, 10.0),
    Kind.FLUSH_BROKER: (0.0, 0.0),
    Kind.KILL_BROKER: (0.5, 3.0),
    Kind.CRASH_POSTGRES: (0.0, 1.5),
    Kind.END_BACKENDS: (0.0, 0.0),
    Kind.DATABASE_LATENCY: (3.0, 6.0),
    Kind.DATABASE_RESET: (0.0, 2.0),
    Kind.DATABASE_BLACK_HOLE: (2.0, 6.0),
    Kind.DATABASE_HALF_OPEN: (3.0, 8.0),
    Kind.BROKER_LATENCY: (3.0, 6.0),
    Kind.BROKER_RESET: (0.0, 2.0),
    Kind.BROKER_BLACK_HOLE: (2.0, 8.0),
    Kind.BROKER_HALF_OPEN: (3.0, 8.0),
}
"""How long each lasts before its recovery, at least and at most."""


@dataclass(frozen=True)
class Fault:
    """One strike.

    Attributes:
        at_sec: Since the start of the run.
        lasts_sec: Until its recovery: a restart, SIGCONT, the proxy passing again.
        dice: Seeds its own choices, such as which worker.
    """

    number: int
    kind: Kind
    at_sec: float
    lasts_sec: float
    dice: int


@dataclass(frozen=True)
class Arrival:
    """One video that a client registers."""

    at_sec: float
    post_id: UUID
    owner: str
    source: str
    repeated: bool
    """Whether the client sends the acknowledged request once more, with the same key."""


@dataclass(frozen=True)
class Meddling:
    """An owner's whim, about one of the videos registered so far."""

    at_sec: float
    verb: str
    dice: int


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    seed: int
    length_sec: float
    faults: Sequence[Fault]
    arrivals: Sequence[Arrival]
    meddlings: Sequence[Meddling]

    def schedule(self) -> Iterator[Fault]:
        """The faults, and the same again for as long as clients need: nobody works in peace."""
        for again in itertools.count() if self.faults else ():
            for fault in self.faults:
                yield replace(fault, at_sec=fault.at_sec + again * self.length_sec)


SOURCES = (("source.mp4", 96), ("missing.mp4", 2), ("broken.mp4", 2))
"""What clients name as source, in percent: most are fine."""

VERBS = (("retry", 55), ("cancel", 20), ("delete", 10), ("reencode", 15))
"""What owners do, in percent."""

MEDDLINGS_PER_ASSET = 0.5


def make_plan(seed: int, assets: int, minutes: float | None = None) -> Plan:
    """The run that this seed means.

    Args:
        assets: How many videos clients register.
        minutes: How long faults go on; by default as long as the clients take at their rate.
    """
    length_sec = 60.0 * (minutes if minutes is not None else max(0.5, assets / ASSETS_PER_MINUTE))
    return Plan(
        seed,
        length_sec,
        tuple(_faults(Random(f"{seed} faults"), length_sec)),
        tuple(_arrivals(Random(f"{seed} arrivals"), assets, length_sec)),
        tuple(_meddlings(Random(f"{seed} meddlings"), assets, length_sec)),
    )


def _faults(rng: Random, length_sec: float) -> list[Fault]:
    """Kinds are dealt like cards, so that each comes up before any comes up again."""
    faults: list[Fault] = []
    deck: list[Kind] = []
    at_sec = QUIET_SEC
    while True:
        deck = deck or _shuffled(rng, faults[-1].kind if faults else None)
        kind = deck.pop()
        lasts_sec = rng.uniform(*LASTS_SEC[kind])
        if at_sec > length_sec:
            return faults
        if at_sec + lasts_sec <= length_sec:
            faults.append(Fault(len(faults) + 1, kind, at_sec, lasts_sec, rng.getrandbits(32)))
        at_sec += rng.uniform(0.5, 1.5) * FAULT_EVERY_SEC


def _shuffled(rng: Random, last: Kind | None) -> list[Kind]:
    """A fresh deck that does not begin with what the old one ended with."""
    deck = rng.sample(list(Kind), len(Kind))
    return deck if deck[-1] is not last else deck[::-1]


def _arrivals(rng: Random, assets: int, length_sec: float) -> list[Arrival]:
    every_sec = length_sec / max(1, assets)
    return [
        Arrival(
            at_sec=number * every_sec,
            post_id=UUID(int=rng.getrandbits(128), version=4),
            owner=f"owner-{rng.randrange(OWNERS)}",
            source=weighted(rng, SOURCES),
            repeated=rng.random() < 0.05,
        )
        for number in range(assets)
    ]


def _meddlings(rng: Random, assets: int, length_sec: float) -> list[Meddling]:
    count = int(assets * MEDDLINGS_PER_ASSET)
    instants = sorted(rng.uniform(QUIET_SEC, length_sec) for _ in range(count))
    return [Meddling(at, weighted(rng, VERBS), rng.getrandbits(32)) for at in instants]


def weighted(rng: Random, choices: Sequence[tuple[str, int]]) -> str:
    """One of the names, by weight."""
    names, weights = zip(*choices, strict=True)
    return str(rng.choices(names, weights)[0])
