"""A video's way through a vendor: the world of the use cases, the API before it, and the fake."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select

from pipeline.config.task_names import (
    TASK_POLL,
    TASK_RECONCILE,
    TASK_RELEASE,
    TASK_SUBMIT,
    TASK_WITHDRAW,
)
from pipeline.domain.values import Phase, Playback
from pipeline.lifecycle.owner_actions import Changed
from pipeline.lifecycle.poll import poll
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.release import release
from pipeline.lifecycle.submit import submit
from pipeline.lifecycle.sweep import sweep
from pipeline.operations.withdraw import withdraw
from pipeline.providers.base import Capabilities
from pipeline.records.models import Attempt, AuditEvent, Delivery
from pipeline.runtime.database import session_of
from pipeline.services import Services
from tests.integration.api.conftest import Client
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.steps import cancel, delete, reencode, retry
from tests.vendors.accounts import ACCOUNT
from tests.vendors.fake import ENDED, FakeCallback, FakeJob, FakeVendor

USE_CASES = {
    TASK_SUBMIT: submit,
    TASK_RECONCILE: reconcile,
    TASK_POLL: poll,
    TASK_RELEASE: release,
    TASK_WITHDRAW: withdraw,
}
ROUNDS = 40
"""Rounds of sweeps until nothing is due; the longest way here has about ten."""
A_DAY_LATER = (
    "UPDATE video_assets SET woken_at = woken_at - interval '1 day',"
    " lease_expires_at = lease_expires_at - interval '1 day',"
    " next_attempt_at = next_attempt_at - interval '1 day',"
    " next_poll_at = next_poll_at - interval '1 day'"
)
CALLS_HAVE_ENDED = "UPDATE provider_attempts SET intended_at = intended_at - interval '1 hour'"
TRIES_ARE_DUE = "UPDATE webhook_deliveries SET next_try_at = next_try_at - interval '1 day'"
PAUSES_ARE_OVER = "UPDATE provider_accounts SET paused_until = NULL"
TIME_PASSES = (A_DAY_LATER, CALLS_HAVE_ENDED, TRIES_ARE_DUE, PAUSES_ARE_OVER)


class Delivered(NamedTuple):
    """The answer to a callback, and the result of applying it; None if nothing was to apply."""

    status: int
    result: str
    applied: str | None = None


@dataclass(frozen=True)
class AtVendor:
    """A worker and an API with an account at a fake.

    Attributes:
        account: Name of the account; not that of its adapter.
    """

    world: World
    api: Client
    fake: FakeVendor
    account: str = ACCOUNT

    @property
    def services(self) -> Services:
        return self.world.services

    @property
    def able(self) -> Capabilities:
        return self.services.providers[self.account].capabilities

    def create(
        self, playback: Playback | None = None, poster_time_sec: float | None = None
    ) -> UUID:
        asset_id = self.world.create(playback=playback)
        if poster_time_sec is not None:
            statement = "UPDATE video_assets SET poster_time_sec = :at WHERE id = :id"
            self.world.execute(statement, at=poster_time_sec, id=asset_id)
        return asset_id

    def submit(self, asset_id: UUID) -> str:
        """Let the next attempt be due, and make it."""
        self.world.execute(
            "UPDATE video_assets SET next_attempt_at = now() - interval '1 s' "
            "WHERE id = :id AND next_attempt_at IS NOT NULL",
            id=asset_id,
        )
        return submit(self.services, asset_id).result

    def submitted(self, playback: Playback | None = None, **chosen: float) -> UUID:
        """A new asset whose job the vendor has."""
        asset_id = self.create(playback, **chosen)
        assert self.submit(asset_id) == "submitted"
        return asset_id

    def job(self, asset_id: UUID) -> FakeJob:
        """The job of the current attempt, in the vendor's books."""
        return self.fake.job_of(self.world.attempt_id(asset_id))

    def move(self, asset_id: UUID, phase: Phase) -> str:
        """Bring the current job into a phase, with its files; return the vendor's id of it."""
        job = self.job(asset_id)
        self.fake.move(job.job_id, phase)
        if phase is Phase.COMPLETED:
            self.store(self.fake, job.job_id)
        return job.job_id

    def tell(self, asset_id: UUID, phase: Phase) -> list[Delivered]:
        """Bring the current job into a phase, and deliver every callback about it."""
        job_id = self.move(asset_id, phase)
        return [self.deliver(each) for each in self.fake.callbacks_for(job_id, phase)]

    def deliver(self, callback: FakeCallback, services: Services | None = None) -> Delivered:
        """Send a callback to the API as the vendor does, and let a worker apply it.

        Args:
            services: Those of another worker.
        """
        path = f"/api/video-assets/webhook/{self.account}?{callback.query}".rstrip("?")
        answer = self.api.call("POST", path, as_=None, headers=callback.headers, data=callback.body)
        document = answer.json()
        result = document.get("result") or document["code"]
        if result != "stored":
            return Delivered(answer.status_code, result)
        return Delivered(answer.status_code, result, self._apply_latest(services or self.services))

    def _apply_latest(self, services: Services) -> str:
        """Apply the callback that was stored last."""
        with session_of(self.services.engine) as session:
            latest = session.scalars(
                select(Delivery.id).order_by(Delivery.received_at.desc()).limit(1)
            ).one()
        return reconcile(services, latest).result

    def poll(self, asset_id: UUID) -> str:
        """Let the next poll be due, and make it."""
        self.world.make_past(asset_id, "next_poll_at")
        return poll(self.services, asset_id).result

    def take_over(self, asset_id: UUID) -> str:
        """Go on with an attempt whose lease has lapsed."""
        return submit(self.services, asset_id).result

    def come_to_rest(self, fake: FakeVendor | None = None) -> None:
        """Let time pass and run sweeps, and all that they wake, until nothing is due.

        Args:
            fake: A vendor that completes each of its jobs.
        """
        for _ in range(ROUNDS):
            if fake:
                self._complete_all(fake)
            for statement in TIME_PASSES:
                self.world.execute(statement)
            wakes = sweep(self.services).wakes
            if not wakes:
                return
            for wake in wakes:
                USE_CASES[wake.task](self.services, wake.id)
        raise AssertionError(f"something is due for ever: {wakes}")

    def pay_releases(self, asset_id: UUID) -> None:
        """Make every release that is owed, without a new attempt."""
        for attempt in self.attempts(asset_id):
            release(self.services, attempt.id)

    def _complete_all(self, fake: FakeVendor) -> None:
        for job in fake.billed:
            if job.phase not in ENDED:
                fake.move(job.job_id, Phase.COMPLETED)
                self.store(fake, job.job_id)

    def store(self, fake: FakeVendor, job_id: str) -> None:
        """Let the vendor write the files of a job to our storage, if it is one that does."""
        for key, path in fake.stored(job_id).items():
            self.services.storage.write(key, [path.read_bytes()])

    def reencode(self, asset_id: UUID) -> None:
        reencode(self.world, asset_id)

    def retry(self, asset_id: UUID) -> None:
        retry(self.world, asset_id)

    def cancel(self, asset_id: UUID) -> Changed:
        return cancel(self.world, asset_id)

    def delete(self, asset_id: UUID) -> None:
        delete(self.world, asset_id)

    def asked(self, *calls: str) -> int:
        """The number of these calls in the vendor's ledger."""
        return sum(call in calls for call, _ in self.fake.asked)

    def attempts(self, asset_id: UUID) -> list[Attempt]:
        with session_of(self.services.engine) as session:
            of_asset = select(Attempt).where(Attempt.asset_id == asset_id)
            return list(session.scalars(of_asset.order_by(Attempt.number)))

    def audits(self) -> list[str]:
        """The types of the audit events."""
        with session_of(self.services.engine) as session:
            return list(session.scalars(select(AuditEvent.type)))
