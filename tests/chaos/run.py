"""A run: attack while clients work, stop, let it settle, judge."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.chaos.bounds import RECOVERY_SEC
from tests.chaos.clients import PATIENCE_SEC, Clients
from tests.chaos.collect import collect, unsettled
from tests.chaos.evidence import Evidence
from tests.chaos.nemeses import Skipped, strike
from tests.chaos.plan import Fault, Plan
from tests.chaos.proxy import Wire
from tests.chaos.report import Tally
from tests.chaos.stage import Stage

TICK_SEC = 0.05
LOOK_EVERY_SEC = 1.0
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


def attack(stage: Stage, plan: Plan, tell: Tell) -> tuple[Evidence, Tally]:
    """Carry the plan out and gather the evidence; bounded by its length and the recovery."""
    campaign = Attack(stage)
    clients = Clients(stage.base_url, stage.environment, stage.provider_url)
    clients.begin(plan)
    try:
        _campaign(campaign, plan, clients, tell)
        _end_faults(stage)
        last_fault_at = datetime.now(UTC)
        _finish(stage, clients, tell)
    finally:
        clients.stop()
    _settle(stage, tell)
    with stage.postgres.connect() as connection:
        books = stage.books()
        evidence = collect(
            connection, books, clients.log, last_fault_at=last_fault_at, recovery_sec=RECOVERY_SEC
        )
    tally = Tally(campaign.strikes, campaign.skipped, books["faults"], clients.log.answers)
    return evidence, tally


def _campaign(campaign: Attack, plan: Plan, clients: Clients, tell: Tell) -> None:
    began, waiting = time.monotonic(), list(reversed(plan.faults))
    while (elapsed := time.monotonic() - began) < plan.length_sec or waiting:
        campaign.stage.tend()
        if waiting and waiting[-1].at_sec <= elapsed:
            campaign.make(waiting.pop())
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


def _finish(stage: Stage, clients: Clients, tell: Tell) -> None:
    """Let clients that the faults held up bring in what is left of the plan."""
    deadline = time.monotonic() + PATIENCE_SEC
    while clients.are_busy() and time.monotonic() < deadline:
        stage.tend()
        tell(f"{len(clients.log.acknowledged)} created, the rest is coming in")
        time.sleep(TICK_SEC)


def _settle(stage: Stage, tell: Tell) -> None:
    """Until nothing has been under way for a while, or the bound is over."""
    began = time.monotonic()
    still_since: float | None = None
    with stage.postgres.connect() as connection:
        while (elapsed := time.monotonic() - began) < RECOVERY_SEC + STILL_SEC:
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
