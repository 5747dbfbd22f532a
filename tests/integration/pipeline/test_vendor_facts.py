"""The facts of an attempt: writers at the same time keep those of each other."""

import threading
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import Engine

from pipeline.domain.errors import AccountProblem
from pipeline.domain.states import Status
from pipeline.domain.values import FOLLOWED_UP, JobRef, Phase, ProviderStatus, Submitted
from pipeline.lifecycle.accept import accept
from pipeline.lifecycle.account_refusal import REFUSED_AT, note_refusal
from pipeline.lifecycle.apply_report import apply_report
from pipeline.lifecycle.claim import Claim, claim_asset
from pipeline.lifecycle.poll import follow_up, poll
from pipeline.lifecycle.provider_report import ProviderReport
from pipeline.lifecycle.reconcile import reconcile
from pipeline.lifecycle.submit import submit
from pipeline.providers.base import Provider
from pipeline.providers.manners import Mannered
from pipeline.records import vendor_facts
from pipeline.records.models import Attempt
from pipeline.runtime.database import session_of
from tests.integration.pipeline.conftest import World
from tests.integration.pipeline.test_unclaimed_uploads import wait_until_somebody_waits
from tests.scripted_provider import callback

OTHERS = {"noted": "by another"}


class Interrupted(Mannered):
    """An account at which something happens during a follow-up call."""

    def __init__(self, inner: Provider, engine: Engine, meanwhile: Callable[[], None]) -> None:
        super().__init__(inner, engine)
        self._meanwhile = meanwhile

    def advance(self, job: JobRef, follow_up: str) -> None:
        del job, follow_up
        self._meanwhile()


def interrupted(world: World, meanwhile: Callable[[], None] = lambda: None) -> Interrupted:
    inner = world.services.providers["selfhosted"]
    return Interrupted(inner, world.services.engine, meanwhile)


def attempt_of(world: World, asset_id: UUID) -> Attempt:
    with session_of(world.services.engine) as session:
        return session.get_one(Attempt, world.attempt_id(asset_id))


def status_of(world: World, asset_id: UUID) -> ProviderStatus:
    """A report that has a fact and asks for a call."""
    job_id = str(world.attempt_id(asset_id))
    return ProviderStatus(Phase.RUNNING, job_id, follow_up="ask", vendor={"region": "eu"})


def report(world: World, asset_id: UUID) -> None:
    status, attempt_id = status_of(world, asset_id), world.attempt_id(asset_id)
    apply_report(
        world.services,
        ProviderReport(attempt_id, asset_id, status, "sweep", None, lambda *_: None),
    )


def follow(world: World, asset_id: UUID) -> None:
    attempt, status = attempt_of(world, asset_id), status_of(world, asset_id)
    follow_up(world.services, interrupted(world), asset_id, attempt, status)


def refuse(world: World, asset_id: UUID) -> None:
    error = AccountProblem("provider_account", "no such key")
    note_refusal(world.services, asset_id, world.attempt_id(asset_id), error, call="fetch")


@pytest.mark.parametrize(
    ("write", "fact"), [(report, "region"), (follow, FOLLOWED_UP), (refuse, REFUSED_AT)]
)
def test_facts_that_are_written_at_once_are_all_kept(
    world: World, write: Callable[[World, UUID], None], fact: str
) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    writing = threading.Thread(target=write, args=(world, asset_id))
    with session_of(world.services.engine) as session:
        vendor_facts.merge_facts(session, world.attempt_id(asset_id), OTHERS)
        writing.start()
        wait_until_somebody_waits(world)
    writing.join()

    facts = attempt_of(world, asset_id).vendor
    assert OTHERS.items() <= facts.items()
    assert fact in facts


def test_an_answer_keeps_the_facts_that_came_before_it(world: World) -> None:
    asset_id = world.create()
    with session_of(world.services.engine) as session:
        claim = claim_asset(world.services, session, asset_id)
        assert isinstance(claim, Claim)
    with session_of(world.services.engine) as session:
        vendor_facts.merge_facts(session, claim.attempt.id, {**OTHERS, "region": "us"})

    accept(world.services, claim, claim.asset, Submitted("job", vendor={"region": "eu"}))

    assert attempt_of(world, asset_id).vendor == {**OTHERS, "region": "eu"}


def test_a_fact_is_removed_alone(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt_id = world.attempt_id(asset_id)
    with session_of(world.services.engine) as session:
        vendor_facts.merge_facts(session, attempt_id, {**OTHERS, "region": "us"})
        for _ in range(2):
            vendor_facts.remove_fact(session, attempt_id, "region")

    assert attempt_of(world, asset_id).vendor == OTHERS


def test_two_workers_that_make_a_follow_up_call_record_it_once(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt, status = attempt_of(world, asset_id), status_of(world, asset_id)

    for _ in range(2):
        follow_up(world.services, interrupted(world), asset_id, attempt, status)

    assert attempt_of(world, asset_id).vendor[FOLLOWED_UP] == ["ask"]
    assert world.types(asset_id).count("followed_up") == 1


def test_an_asset_that_completes_during_a_follow_up_call_stays_as_it_is(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    attempt, status = attempt_of(world, asset_id), status_of(world, asset_id)

    def finish() -> None:
        received = world.receive(callback(world.provider.finish(attempt.id)))
        assert received.wake is not None
        reconcile(world.services, received.wake.id)

    provider = interrupted(world, finish)
    assert follow_up(world.services, provider, asset_id, attempt, status).result == "moved_on"

    assert world.asset(asset_id).status is Status.COMPLETED
    assert world.types(asset_id)[-1] == "completed"
    assert attempt_of(world, asset_id).vendor[FOLLOWED_UP] == ["ask"]


def test_an_answer_whose_outputs_cannot_be_read_now_ends_a_refusal(world: World) -> None:
    asset_id = world.create()
    submit(world.services, asset_id)
    refuse(world, asset_id)
    assert REFUSED_AT in attempt_of(world, asset_id).vendor
    world.provider.finish(world.attempt_id(asset_id), manifest="http://127.0.0.1:9/master.m3u8")
    world.make_past(asset_id, "next_poll_at")

    assert poll(world.services, asset_id).result == "waiting: source_unreachable"

    assert REFUSED_AT not in attempt_of(world, asset_id).vendor
