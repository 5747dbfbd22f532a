"""A run: attack while clients work, stop, let it settle, judge."""

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import psycopg

from tests.chaos import real
from tests.chaos.bounds import recovery_sec
from tests.chaos.clients import MOST_UNDER_WAY, PATIENCE_SEC, ClientLog, Clients
from tests.chaos.collect import collect, unsettled
from tests.chaos.evidence import Evidence
from tests.chaos.nemeses import Skipped, strike
from tests.chaos.plan import Fault, Plan
from tests.chaos.proxy import Wire
from tests.chaos.report import Encodes, Tally
from tests.chaos.stage import Stage

TICK_SEC = 0.05
LOOK_EVERY_SEC = 1.0
MOST_ROUNDS = 3
"""How often the schedule is begun for clients that are behind it."""
STILL_SEC = 3.0
"""How long nothing must be under way before the run counts as settled."""

Tell = Callable[[str], None]
"""Called with how it stands, often."""


@dataclass
class Attack:
    """Makes the strikes of a plan when they are due, and their recoveries after them."""

    stage: Stage
    strikes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def make(self, fault: Fault) -> None:
        """Strike now; the recovery follows when the fault has lasted."""
        try:
            recover = strike(self.stage, fault)
        except Skipped as reason:
            self.skipped[f"{fault.kind} ({reason})"] += 1
            return
        self.strikes[fault.kind] += 1
        self.stage.later(fault.lasts_sec, recover)


@dataclass
class Flow:
    """Lets clients create while the system keeps up."""

    stage: Stage
    clients: Clients
    looked_at: float = 0.0

    def control(self) -> None:
        """Look now and then; while the database is down nobody knows, and nothing changes."""
        if time.monotonic() - self.looked_at < LOOK_EVERY_SEC:
            return
        self.looked_at = time.monotonic()
        with suppress(psycopg.OperationalError), self.stage.postgres.connect() as connection:
            self.clients.hold(unsettled(connection)[0] > MOST_UNDER_WAY)


@dataclass(frozen=True)
class Attacked:
    """What the first phase came to."""

    evidence: Evidence
    tally: Tally
    log: ClientLog


def attack(stage: Stage, plan: Plan, tell: Tell) -> Attacked:
    """Carry the plan out and gather the evidence; bounded by its length and the recovery."""
    campaign = Attack(stage)
    clients = Clients(stage.base_url, stage.environment, stage.provider_url)
    clients.begin(plan)
    try:
        _campaign(campaign, plan, clients, tell)
        _end_faults(stage)
        last_fault_at = datetime.now(UTC)
        bound_sec = recovery_sec(os.getloadavg()[0] / (os.cpu_count() or 1))
        _finish(stage, plan, clients, tell)
    finally:
        clients.stop()
    _settle(stage, tell, bound_sec)
    with stage.postgres.connect() as connection:
        books = stage.books()
        evidence = collect(
            connection, books, clients.log, last_fault_at=last_fault_at, recovery_sec=bound_sec
        )
    tally = Tally(
        strikes=campaign.strikes,
        skipped=campaign.skipped,
        notes=stage.notes,
        scripted=books["faults"],
        answers=clients.log.answers,
    )
    return Attacked(evidence, tally, clients.log)


def attack_encodes(stage: Stage, seed: int, videos: int, log: ClientLog, tell: Tell) -> Encodes:
    """The second phase: the real transcoder, killed at its work; judged with the first."""
    tell("starting the real transcoder")
    real.begin(stage)
    real.register(stage, videos, seed, log)
    tell(f"{videos} videos are with the transcoder")
    made, missed = real.strike_all(stage)
    last_fault_at = datetime.now(UTC)
    _settle(stage, tell, real.RECOVERY_SEC)
    with stage.postgres.connect() as connection:
        evidence = collect(
            connection,
            stage.books(),
            log,
            last_fault_at=last_fault_at,
            recovery_sec=real.RECOVERY_SEC,
        )
        jobs, sent = real.books(connection)
    books = replace(evidence.books, jobs=(*evidence.books.jobs, *jobs))
    merged = replace(evidence, books=books, sent=(*evidence.sent, *sent))
    return Encodes(merged, made, missed, real.leftovers(stage))


def _campaign(campaign: Attack, plan: Plan, clients: Clients, tell: Tell) -> None:
    began, schedule = time.monotonic(), plan.schedule()
    flow, fault = Flow(campaign.stage, clients), next(schedule, None)
    while (elapsed := time.monotonic() - began) < plan.length_sec or (
        clients.are_busy() and elapsed < MOST_ROUNDS * plan.length_sec
    ):
        campaign.stage.tend()
        if fault is not None and fault.at_sec <= elapsed:
            campaign.make(fault)
            fault = next(schedule)
        flow.control()
        created = len(clients.log.acknowledged)
        strikes = campaign.strikes.total()
        tell(f"{elapsed:4.0f}/{plan.length_sec:.0f} s, {created} created, {strikes} strikes")
        time.sleep(TICK_SEC)


def _end_faults(stage: Stage) -> None:
    """Wait for the last recoveries, calm the provider; every process runs again."""
    while not stage.is_quiet():
        stage.tend()
        time.sleep(TICK_SEC)
    for proxy in (stage.postgres.proxy, stage.broker.proxy):
        proxy.set(Wire.PASS)
    stage.calm_provider()


def _finish(stage: Stage, plan: Plan, clients: Clients, tell: Tell) -> None:
    """Let clients that the faults held up bring in what is left of the plan."""
    flow, deadline = Flow(stage, clients), time.monotonic() + plan.length_sec + PATIENCE_SEC
    while clients.are_busy() and time.monotonic() < deadline:
        stage.tend()
        flow.control()
        tell(f"{len(clients.log.acknowledged)} created, the rest is coming in")
        time.sleep(TICK_SEC)


def _settle(stage: Stage, tell: Tell, bound_sec: float) -> None:
    """Until nothing has been under way for a while, or the bound is over."""
    began = time.monotonic()
    still_since: float | None = None
    with stage.postgres.connect() as connection:
        while (elapsed := time.monotonic() - began) < bound_sec + STILL_SEC:
            stage.tend()
            assets, callbacks, debts = unsettled(connection)
            at_provider = stage.books()["open"]
            tell(
                f"settling {elapsed:3.0f} s: {assets} assets, {callbacks} callbacks, {debts} debts"
            )
            if assets or callbacks or debts or at_provider:
                still_since = None
            elif still_since is None:
                still_since = elapsed
            elif elapsed - still_since > STILL_SEC:
                return
            time.sleep(LOOK_EVERY_SEC)
