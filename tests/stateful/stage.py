"""Where the lives of a few assets are played: what each can do, and what is to hold after it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from pipeline.domain.errors import Conflict, NotFound
from pipeline.lifecycle.publish import rollback_asset
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.sweep import sweep
from pipeline.operations.purge import purge
from pipeline.runtime.database import session_of, user_session
from tests.crashing.boundary import Boundary
from tests.integration.pipeline.conftest import OWNER, World
from tests.laws.books import AssetRow, Books
from tests.laws.checks import ALWAYS, AT_REST, Checks
from tests.laws.law import Law
from tests.scripted_provider import callback
from tests.stateful.books import books_of
from tests.stateful.laws import Breaches, breaches, posted_once, tokens_never_fall
from tests.stateful.rest import come_to_rest, work
from tests.stateful.stalled import StalledWorker

Signed = tuple[dict[str, str], bytes]

CLEARING = (
    "UPDATE video_assets SET deleted_at = now(), purged_at = now() WHERE purged_at IS NULL",
    "UPDATE provider_attempts SET released_at = now(), purge_at = NULL WHERE released_at IS NULL",
    "UPDATE webhook_deliveries SET status = 'dead', next_try_at = NULL WHERE status = 'new'",
)
"""Nothing of the play before is due any more, however that ended."""


class LawBroken(AssertionError):
    """The violations, by law."""

    def __init__(self, found: Breaches) -> None:
        super().__init__({law.name: sentences for law, sentences in found.items()})
        self.laws = list(found)


class Stage:
    """A world with its own beginning: what was there before is neither seen nor judged.

    Args:
        strictly: The provider makes a job of every request, so each attempt may send one only.
    """

    def __init__(self, world: World, *, strictly: bool) -> None:
        self.world = world
        self.services = world.services = replace(world.services, rng=Random(1))
        self.provider = world.provider
        for statement in CLEARING:
            world.execute(statement)
        for ledger in (self.provider.jobs, self.provider.puts, self.provider.cancelled):
            ledger.clear()
        with session_of(self.services.engine) as session:
            self._since = session.scalars(select(func.clock_timestamp())).one()
        self._strictly = strictly
        self._stalled: list[StalledWorker] = []
        self.callbacks: list[Signed] = []
        self.deliveries: list[UUID] = []
        self.books: Books = self._read()

    def script(self, put: str = "accept", get: str = "answer", delete: str = "answer") -> None:
        """What the provider does with the next request of each kind."""
        self.provider.script, self.provider.gets = [put], [get]
        self.provider.deletes = [delete]

    def those(self, *, which: Callable[[AssetRow], object]) -> list[UUID]:
        """Assets that were so when the books were last read, the oldest first."""
        kept = [asset for asset in self.books.assets if asset.deleted_at is None]
        return [UUID(a.id) for a in sorted(kept, key=lambda a: a.created_at) if which(a)]

    def as_owner(self, verb: Callable[..., Any], asset_id: UUID, **more: Any) -> None:
        """The owner asks; what is refused changes nothing."""
        post_id = self._post_of(asset_id)
        with suppress(Conflict, NotFound), user_session(self.world._api, OWNER) as session:
            verb(session, post_id, actor=f"owner:{OWNER}", **more)

    def roll_back(self, asset_id: UUID) -> None:
        """The operator asks for the outputs before these."""
        post_id = self._post_of(asset_id)
        with suppress(Conflict, NotFound), session_of(self.world.operator) as session:
            rollback_asset(session, post_id, actor="operator:o")

    def stall(self, deed: Callable[[], object], boundary: Boundary) -> StalledWorker | None:
        """Start a worker that stops at the boundary; None when it never comes there."""
        worker = StalledWorker(deed, boundary)
        if not worker.stalled:
            return None
        self._stalled.append(worker)
        return worker

    def report(self, attempt_id: UUID, ending: str) -> Signed:
        """The provider gets on with a job, unless it has ended, and signs a callback about it."""
        if self.provider.jobs[attempt_id]["status"] in {"queued", "running"}:
            self._bring_to(attempt_id, ending)
        signed = callback(dict(self.provider.jobs[attempt_id]), "job.progress")
        self.callbacks.append(signed)
        return signed

    def _bring_to(self, attempt_id: UUID, ending: str) -> None:
        match ending:
            case "running":
                self.provider.job(attempt_id, status="running", progress=40)
            case "completed":
                self.provider.finish(attempt_id)
            case "black":
                self.provider.finish(attempt_id, poster=f"{self.provider.url}/out/black.jpg")
            case "failed" | "refused":
                retryable = ending == "failed"
                self.provider.fail(attempt_id, "encode_failed", retryable=retryable)

    def deliver(self, signed: Signed) -> None:
        """A callback arrives, for the first time or again; only the first is stored."""
        received = self.world.receive(signed)
        assert received.kind in {"stored", "duplicate"}
        if received.wake is not None:
            self.deliveries.append(received.wake.id)

    def contradict(self, signed: Signed) -> None:
        """An event that has arrived arrives with another body."""
        self.deliver(signed)
        job = {"id": next(iter(self.provider.jobs)).hex, "status": "running", "progress": 99}
        other = callback(job, "job.progress", event_id=signed[0]["webhook-id"])
        assert self.world.receive(other).kind == "conflict"

    def reconcile(self, delivery_id: UUID) -> None:
        """A worker comes to a delivery."""
        reconcile(self.services, delivery_id)

    def sweep_and_work(self) -> None:
        """Beat ticks, and workers do what it wakes."""
        # The grace of a callback's own message is a constant of seconds: it is over.
        self.world.execute(
            "UPDATE webhook_deliveries SET next_try_at = now() - interval '1 min' WHERE tries = 0"
        )
        for wake in sweep(self.services).wakes:
            work(self.services, wake)

    def move_past(self, asset_id: UUID, column: str) -> None:
        """Let the instant in this column have gone by, if there is one."""
        if getattr(self.world.asset(asset_id), column) is not None:
            self.world.make_past(asset_id, column)

    def purge(self) -> None:
        """A day passes for what was discarded."""
        self.world.execute("UPDATE provider_attempts SET purge_at = now() WHERE purge_at > now()")
        purge(self.services)

    def check(self) -> None:
        """Every law holds."""
        before, self.books = self.books, self._read()
        self._hold(ALWAYS, {Law.TOKENS_RISE: (partial(tokens_never_fall, before),)})

    def come_to_rest(self) -> None:
        """Stalled workers go on, time passes, and nothing is left to do."""
        for worker in self._stalled:
            worker.resume()
        come_to_rest(self.world)
        self.books = self._read()
        self._hold(ALWAYS, AT_REST)

    def _hold(self, *laws: Checks[Books]) -> None:
        if self._strictly:
            once = partial(posted_once, self.provider.puts)
            laws = (*laws, {Law.ONE_JOB_PER_ATTEMPT: (once,)})
        found = breaches(self.books, *laws)
        if found:
            raise LawBroken(found)

    def _post_of(self, asset_id: UUID) -> UUID:
        return UUID(self.books.asset_of[str(asset_id)].post_id)

    def _read(self) -> Books:
        return books_of(self.services.engine, self.provider, since=self._since)
