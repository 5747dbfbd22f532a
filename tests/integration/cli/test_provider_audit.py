"""The audit of an account against a vendor faked at the socket, and the write-off."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from pipeline.domain.values import Phase
from pipeline.records.models import Attempt, AuditEvent
from pipeline.runtime.database import session_of
from tests.integration.api.conftest import Client, World
from tests.integration.cli.conftest import Ran, khronika, khronika_process
from tests.vendors.fake import FakeJob, serving
from tests.vendors.mux import FakeMux

HOUR = timedelta(hours=1)


@pytest.fixture
def mux() -> Iterator[FakeMux]:
    fake = FakeMux()
    with serving(fake):
        yield fake


@pytest.fixture
def env(environment: Mapping[str, str], mux: FakeMux) -> Mapping[str, str]:
    return {
        **environment,
        **mux.environment("house"),
        "KHRONIKA_ACCOUNTS": "selfhosted,house:mux",
        "KHRONIKA_HOUSE_PRICE_STORED_MINUTE": "0.5",
        "KHRONIKA_HOUSE_READS_PER_SEC": "1000",
        "KHRONIKA_HOUSE_WRITES_PER_SEC": "1000",
    }


def audit(*options: str, env: Mapping[str, str]) -> Ran:
    return khronika("providers", "audit", "house", "--json", *options, env=env)


def findings(ran: Ran, kind: str) -> list[dict[str, Any]]:
    return [line for line in ran.lines if line.get("kind") == kind]


def theirs(mux: FakeMux, attempt_id: UUID | None = None, *, age: timedelta = HOUR) -> FakeJob:
    """A job that the vendor has, made so long ago."""
    job = mux.orphan()
    job.attempt_id = attempt_id
    job.spec = {**job.spec, "passthrough": str(attempt_id)} if attempt_id else job.spec
    job.created_at = datetime.now(UTC) - age
    return job


class Books:
    """Our attempts at the account, as earlier hours have left them."""

    def __init__(self, world: World, api: Client) -> None:
        self._world = world
        self.asset_id = UUID(api.create().json()["id"])
        self._number = 0

    def attempt(self, job_id: str | None, outcome: str | None = "accepted", **facts: Any) -> UUID:
        """An attempt of an hour ago."""
        self._number += 1
        attempt_id = facts.pop("id", None) or uuid4()
        columns = {"released": False, "requested": False, "provider": "house", **facts}
        with session_of(self._world.engine) as session:
            session.execute(
                text("""
                    INSERT INTO provider_attempts (id, asset_id, generation, number, provider,
                        provider_job_id, created_at, intended_at, submitted_at, outcome,
                        release_requested_at, released_at)
                    VALUES (:id, :asset_id, 1, :number, :provider, :job_id,
                        now() - interval '1 hour', now() - interval '1 hour',
                        now() - interval '1 hour', :outcome,
                        CASE WHEN :requested THEN now() END, CASE WHEN :released THEN now() END)
                """),
                {
                    "id": attempt_id,
                    "asset_id": self.asset_id,
                    "number": self._number,
                    "job_id": job_id,
                    "outcome": outcome,
                    **columns,
                },
            )
        return attempt_id


@pytest.fixture
def books(world: World, api: Client) -> Books:
    return Books(world, api)


def test_jobs_and_attempts_that_belong_together_are_no_finding(
    env: Mapping[str, str], mux: FakeMux, books: Books
) -> None:
    books.attempt(theirs(mux).job_id)
    owed = theirs(mux)
    books.attempt(owed.job_id, requested=True)
    theirs(mux, books.attempt(None, outcome=None))
    theirs(mux, age=timedelta(minutes=1))
    theirs(mux, age=timedelta(days=40))

    ran = audit(env=env)

    assert ran.code == 0, ran.out + ran.err
    assert ran.document == {
        "kind": "summary",
        "provider": "house",
        "listed": 4,
        "orphans": 0,
        "released": 0,
        "ghosts": 0,
        "minutes": 0,
        "monthly_cost": 0,
    }


def four_orphans(mux: FakeMux, books: Books) -> dict[str, FakeJob]:
    """One of each kind."""
    released = theirs(mux)
    books.attempt(released.job_id, requested=True, released=True)
    doubled = books.attempt(theirs(mux).job_id)
    return {
        "released": released,
        "duplicate": theirs(mux, doubled),
        "unseen": theirs(mux, books.attempt(None, outcome="not_submitted")),
        "unknown": theirs(mux, uuid4(), age=timedelta(days=2)),
    }


def test_orphans_are_listed_with_reason_age_minutes_and_cost_and_nothing_is_released(
    env: Mapping[str, str], mux: FakeMux, books: Books, world: World
) -> None:
    jobs = four_orphans(mux, books)
    mux.move(jobs["unknown"].job_id, Phase.COMPLETED)

    ran = audit(env=env)

    assert ran.code == 1
    found = {line["reason"]: line for line in findings(ran, "orphan")}
    assert {reason: line["provider_job_id"] for reason, line in found.items()} == {
        reason: job.job_id for reason, job in jobs.items()
    }
    unknown = found["unknown"]
    assert unknown["age_days"] == pytest.approx(2, abs=0.1)
    assert unknown["minutes"] == pytest.approx(mux.duration_sec / 60)
    assert unknown["monthly_cost"] == pytest.approx(mux.duration_sec / 60 * 0.5)
    [summary] = findings(ran, "summary")
    assert (summary["orphans"], summary["released"], summary["ghosts"]) == (4, 0, 0)
    assert len(mux.billed) == len(mux.jobs)
    assert world.count(AuditEvent) == 0


def test_only_orphans_of_ours_are_released_and_each_is_audited(
    env: Mapping[str, str], mux: FakeMux, books: Books, world: World
) -> None:
    jobs = four_orphans(mux, books)

    ran = audit("--release", env=env)

    assert ran.code == 1
    assert {each.job_id for each in mux.jobs.values() if each.cancelled} == {
        jobs["released"].job_id,
        jobs["unseen"].job_id,
    }
    events = world.all(AuditEvent)
    assert {event.type for event in events} == {"provider_release"}
    assert {event.detail["orphan"] for event in events} == {"released", "unseen"}
    assert all(event.actor.startswith("operator:") for event in events)


def test_an_orphan_that_is_named_is_released_and_a_job_of_ours_is_not(
    env: Mapping[str, str], mux: FakeMux, books: Books
) -> None:
    needed = theirs(mux)
    books.attempt(needed.job_id)
    unknown = theirs(mux)

    named = ("--release", "--job", unknown.job_id, "--job", needed.job_id)
    ran = audit(*named, env=env)

    assert (ran.code, ran.lines[-1]["error"]["code"]) == (3, "job_not_orphan")
    assert (unknown.cancelled, needed.cancelled) == (True, False)
    without = audit("--job", unknown.job_id, env=env)
    assert (without.code, without.document["error"]["code"]) == (2, "release_missing")


def test_ghosts_are_the_jobs_of_ours_that_the_vendor_does_not_have(
    env: Mapping[str, str], mux: FakeMux, books: Books
) -> None:
    books.attempt(theirs(mux).job_id)
    accepted = books.attempt("gone")
    books.attempt("ended", outcome="failed")
    books.attempt("given-up", requested=True)
    books.attempt("elsewhere", provider="selfhosted")
    books.attempt("unpublished", outcome="completed")

    ran = audit(env=env)

    assert ran.code == 1
    [ghost] = findings(ran, "ghost")
    assert (ghost["provider_job_id"], ghost["attempt_id"]) == ("gone", str(accepted))
    assert (ghost["asset_id"], ghost["published"]) == (str(books.asset_id), False)


def test_a_published_video_whose_job_is_gone_is_a_ghost_too(
    env: Mapping[str, str], mux: FakeMux, books: Books, world: World
) -> None:
    theirs(mux)
    attempt_id = books.attempt("gone", outcome="completed")
    with session_of(world.engine) as session:
        session.execute(
            text("""INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url,
                        renditions, duration_sec, width, height, verified_at, published_at)
                    VALUES (:id, :asset_id, 1, :attempt_id, 'https://a.example/m', '[]', 5, 320,
                        180, now(), now())"""),
            {"id": uuid4(), "asset_id": books.asset_id, "attempt_id": attempt_id},
        )
    [ghost] = findings(audit(env=env), "ghost")
    assert ghost["published"] is True


def test_a_long_list_is_read_in_turn_with_progress_on_stderr(
    env: Mapping[str, str], mux: FakeMux, books: Books
) -> None:
    for _ in range(1200):
        theirs(mux)

    ran = khronika_process("providers", "audit", "house", "--since", "1", env=env)

    assert ran.code == 1, ran.err
    assert "1000 jobs listed" in ran.err
    assert "house lists 1200 jobs: 1200 orphans (0 released), 0 ghosts" in ran.out


def test_a_vendor_that_fails_within_the_list_ends_the_audit_with_its_words(
    env: Mapping[str, str], mux: FakeMux, books: Books
) -> None:
    books.attempt("gone")
    for _ in range(150):
        theirs(mux)
    mux.script["list"] = ["accept", "500"]

    ran = audit(env=env)

    assert (ran.code, ran.lines[-1]["error"]["code"]) == (4, "provider_failed")
    assert "not complete" in ran.lines[-1]["error"]["message"]
    assert findings(ran, "ghost") == []


def test_releases_at_an_account_that_is_gone_are_counted_and_then_written_off(
    env: Mapping[str, str], books: Books, world: World
) -> None:
    owed = [books.attempt(f"job-{n}", requested=True, provider="gone") for n in range(2)]
    books.attempt("current", provider="gone")

    listed = khronika("providers", "list", "--json", env=env).lines
    assert listed[-1] == {"name": "gone", "state": "not_configured", "releases_owed": 2}
    counted = khronika("providers", "write-off", "gone", "--json", env=env)
    assert counted.document == {"provider": "gone", "owed": 2, "written_off": 0}
    assert [each for each in world.all(Attempt) if each.released_at] == []

    done = khronika("providers", "write-off", "gone", "--yes", "--json", env=env)

    assert done.document == {"provider": "gone", "owed": 2, "written_off": 2}
    assert {each.id for each in world.all(Attempt) if each.released_at} == set(owed)
    events = [each for each in world.events(str(books.asset_id)) if each.type == "written_off"]
    assert {event.detail["attempt_id"] for event in events} == {str(each) for each in owed}
    assert all(event.actor.startswith("operator:") for event in events)
    [audited] = world.all(AuditEvent)
    assert (audited.type, audited.detail) == (
        "provider_write_off",
        {"provider": "gone", "releases": 2},
    )
    again = khronika("providers", "write-off", "gone", "--yes", "--json", env=env)
    assert again.document["written_off"] == 0


def test_a_configured_account_is_not_written_off(env: Mapping[str, str], books: Books) -> None:
    books.attempt("job", requested=True)
    ran = khronika("providers", "write-off", "house", "--yes", "--json", env=env)
    assert (ran.code, ran.document["error"]["code"]) == (3, "account_configured")


def test_an_account_that_is_not_configured_is_not_audited(env: Mapping[str, str]) -> None:
    ran = khronika("providers", "audit", "nobody", "--json", env=env)
    assert (ran.code, ran.document["error"]["code"]) == (3, "unknown_provider")
