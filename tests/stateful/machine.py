"""Anything in any order: hypothesis plays owners, workers, the provider, the network and time.

After every step every law holds; at the end of every run the world comes to rest, and the laws of
rest hold too. Real database, real HTTP, real ffprobe; only the clock is ours, and it is moved by
moving the instants in the rows.
A rule that would concern nobody is left out, so that few steps are wasted.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from pipeline.domain.states import LIVE, WAITING, Status
from pipeline.lifecycle.owner_actions import cancel_asset, delete_asset, reencode_asset, retry_asset
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import expire
from tests.crashing.boundary import Boundary
from tests.crashing.interruptions import dying_at
from tests.integration.pipeline.conftest import World
from tests.laws.books import AssetRow
from tests.stateful.rest import let_time_pass
from tests.stateful.stage import Stage
from tests.stateful.stalled import StalledWorker

T = TypeVar("T")
MaybeStalled = StalledWorker | MultipleResults[StalledWorker]

MOST_ASSETS = 3

PICK = st.integers(0, 5)
PUTS = st.sampled_from(["accept", "accept", "drop", "503", "429", "500", "400"])
DELETES = st.sampled_from(["answer", "503"])
GETS = st.sampled_from(["answer", "answer", "404", "503"])
ENDINGS = st.sampled_from(["running", "completed", "completed", "black", "failed", "refused"])
SUBMITTING = st.sampled_from(
    [boundary for boundary in Boundary if boundary.startswith(("submit_", "lookup_"))]
)
ASKING = st.sampled_from([Boundary.POLL_TAKEN, Boundary.POLL_ANSWERED, Boundary.GATE_PASSED])
READING = st.sampled_from([Boundary.RECONCILE_TAKEN, Boundary.GATE_PASSED])


def chosen(those: Sequence[T], pick: int) -> T:
    return those[pick % len(those)]


def submittable(asset: AssetRow) -> bool:
    return asset.status in WAITING or asset.lease_expires_at is not None


def concerning(
    which: Callable[[AssetRow], object],
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Leave the rule out while no asset is so."""
    return precondition(lambda self: bool(self.stage.those(which=which)))


class Lives(RuleBasedStateMachine):
    """The lives of a few assets. The two worlds have the two kinds of provider."""

    stalled: Bundle[StalledWorker] = Bundle("stalled")

    def __init__(
        self, repeating: World, posting: World, broken: list[AssertionError] | None = None
    ) -> None:
        """Begin a run; what breaks a law is also added to ``broken``."""
        super().__init__()
        self._repeating, self._posting = repeating, posting
        self._broken = broken if broken is not None else []
        self.stage: Stage

    @initialize(strictly=st.booleans())
    def begin(self, *, strictly: bool) -> None:
        self.stage = Stage(self._posting if strictly else self._repeating, strictly=strictly)
        self.stage.world.create()
        self.stage.check()

    # Owners

    @precondition(lambda self: len(self.stage.books.assets) < MOST_ASSETS)
    @rule()
    def create(self) -> None:
        self.stage.world.create()

    @concerning(lambda asset: asset.status == Status.FAILED)
    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        failed = self.stage.those(which=lambda asset: asset.status == Status.FAILED)
        rules = self.stage.world.api
        self.stage.as_owner(
            retry_asset, chosen(failed, pick), retry=rules.retry, owner_limits=rules.owner_limits
        )

    @concerning(lambda asset: asset.status in LIVE)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        live = self.stage.those(which=lambda asset: asset.status in LIVE)
        self.stage.as_owner(cancel_asset, chosen(live, pick))

    @concerning(lambda asset: asset.attempt > 0)
    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        begun = self.stage.those(which=lambda asset: asset.attempt > 0)
        self.stage.as_owner(delete_asset, chosen(begun, pick))

    @concerning(lambda asset: asset.status == Status.COMPLETED)
    @rule(pick=PICK)
    def reencode(self, pick: int) -> None:
        completed = self.stage.those(which=lambda asset: asset.status == Status.COMPLETED)
        rules = self.stage.world.api
        self.stage.as_owner(
            reencode_asset,
            chosen(completed, pick),
            retry=rules.retry,
            owner_limits=rules.owner_limits,
        )

    @concerning(lambda asset: asset.generation > 1)
    @rule(pick=PICK)
    def roll_back(self, pick: int) -> None:
        self.stage.roll_back(chosen(self.stage.those(which=lambda a: a.generation > 1), pick))

    # Workers: in order, killed, or stalled past their lease

    @concerning(submittable)
    @rule(pick=PICK, put=PUTS, get=GETS)
    def submit(self, pick: int, put: str, get: str) -> None:
        submit(self.stage.services, self._due(pick, put, get))

    @concerning(submittable)
    @rule(pick=PICK, put=PUTS, boundary=SUBMITTING)
    def die_submitting(self, pick: int, put: str, boundary: Boundary) -> None:
        with dying_at(boundary):
            submit(self.stage.services, self._due(pick, put))

    @concerning(submittable)
    @rule(target=stalled, pick=PICK, put=PUTS, boundary=SUBMITTING, overtaken=st.booleans())
    def stall_submitting(
        self, pick: int, put: str, boundary: Boundary, *, overtaken: bool
    ) -> MaybeStalled:
        asset_id = self._due(pick, put)
        stalled = self._stall(lambda: submit(self.stage.services, asset_id), boundary)
        if overtaken:
            self.stage.move_past(asset_id, "lease_expires_at")
            submit(self.stage.services, asset_id)
        return stalled

    def _due(self, pick: int, put: str, get: str = "answer") -> UUID:
        """An asset that a worker may take, or take over."""
        self.stage.script(put, get)
        asset_id = chosen(self.stage.those(which=submittable), pick)
        for column in ("next_attempt_at", "lease_expires_at"):
            self.stage.move_past(asset_id, column)
        return asset_id

    @concerning(lambda asset: asset.next_poll_at)
    @rule(pick=PICK, get=GETS)
    def poll(self, pick: int, get: str) -> None:
        poll(self.stage.services, self._late(pick, get))

    @concerning(lambda asset: asset.next_poll_at)
    @rule(target=stalled, pick=PICK, boundary=ASKING)
    def stall_polling(self, pick: int, boundary: Boundary) -> MaybeStalled:
        asset_id = self._late(pick, "answer")
        return self._stall(lambda: poll(self.stage.services, asset_id), boundary)

    def _late(self, pick: int, get: str) -> UUID:
        """An asset whose provider is to be asked."""
        self.stage.script(get=get)
        asset_id = chosen(self.stage.those(which=lambda asset: asset.next_poll_at), pick)
        self.stage.move_past(asset_id, "next_poll_at")
        return asset_id

    @precondition(lambda self: self.stage.deliveries)
    @rule(pick=PICK)
    def reconcile(self, pick: int) -> None:
        self.stage.reconcile(chosen(self.stage.deliveries, pick))

    @precondition(lambda self: self.stage.deliveries)
    @rule(pick=PICK, boundary=READING)
    def die_reconciling(self, pick: int, boundary: Boundary) -> None:
        with dying_at(boundary):
            self.stage.reconcile(chosen(self.stage.deliveries, pick))

    @precondition(lambda self: self.stage.deliveries)
    @rule(target=stalled, pick=PICK, boundary=READING)
    def stall_reconciling(self, pick: int, boundary: Boundary) -> MaybeStalled:
        delivery_id = chosen(self.stage.deliveries, pick)
        return self._stall(lambda: self.stage.reconcile(delivery_id), boundary)

    @rule(worker=consumes(stalled), put=PUTS)
    def resume(self, worker: StalledWorker, put: str) -> None:
        self.stage.script(put)
        worker.resume()

    def _stall(self, deed: Callable[[], object], boundary: Boundary) -> MaybeStalled:
        return self.stage.stall(deed, boundary) or multiple()

    @rule(delete=DELETES)
    def sweep_and_work(self, delete: str) -> None:
        self.stage.script(delete=delete)
        self.stage.sweep_and_work()

    # The provider and the network

    @precondition(lambda self: self.stage.provider.jobs)
    @rule(pick=PICK, ending=ENDINGS, arrives=st.sampled_from(["later", "now", "and is applied"]))
    def report(self, pick: int, ending: str, arrives: str) -> None:
        """Of any attempt's job, a released or an old one's included."""
        signed = self.stage.report(chosen(list(self.stage.provider.jobs), pick), ending)
        if arrives != "later":
            self.stage.deliver(signed)
        if arrives == "and is applied":
            self.stage.reconcile(self.stage.deliveries[-1])

    @precondition(lambda self: self.stage.callbacks)
    @rule(pick=PICK)
    def deliver(self, pick: int) -> None:
        """Late, again, or after a later one."""
        self.stage.deliver(chosen(self.stage.callbacks, pick))

    @precondition(lambda self: self.stage.callbacks)
    @rule(pick=PICK)
    def contradict(self, pick: int) -> None:
        self.stage.contradict(chosen(self.stage.callbacks, pick))

    # Time

    @rule()
    def a_day_passes(self) -> None:
        let_time_pass(self.stage.world)

    @concerning(lambda asset: asset.status in LIVE)
    @rule(pick=PICK)
    def the_deadline_passes(self, pick: int) -> None:
        asset_id = chosen(self.stage.those(which=lambda asset: asset.status in LIVE), pick)
        self.stage.move_past(asset_id, "deadline_at")
        expire(self.stage.services, asset_id)

    @rule()
    def the_discarded_goes(self) -> None:
        self.stage.purge()

    @invariant()
    def every_law_holds(self) -> None:
        with self._noting():
            self.stage.check()

    def teardown(self) -> None:
        with self._noting():
            self.stage.come_to_rest()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as broken:
            self._broken.append(broken)
            raise
