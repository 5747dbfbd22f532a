"""Outputs that a cancellation withdraws at a vendor that hosts them: nothing brings them back."""

from uuid import UUID

import pytest
from sqlalchemy import select

from pipeline.config.task_names import wake_withdraw
from pipeline.domain.errors import Conflict
from pipeline.domain.states import Status
from pipeline.domain.values import Phase
from pipeline.lifecycle.publish import rollback_asset
from pipeline.operations.withdraw import withdraw
from pipeline.records.models import Output
from pipeline.runtime.database import session_of
from tests.integration.pipeline.vendors.at_vendor import AtVendor

pytestmark = pytest.mark.parametrize("adapter", ["mux"], indirect=True)


def cancelled_in_the_second_attempt(at_vendor: AtVendor) -> UUID:
    """Cancel a video that plays by its first attempt, which failed, while the second one runs."""
    asset_id = at_vendor.submitted()
    at_vendor.tell(asset_id, Phase.PLAYABLE)
    at_vendor.fake.end_mp4(at_vendor.job(asset_id).job_id, "errored")  # type: ignore[attr-defined]
    assert at_vendor.poll(asset_id) == "retrying"
    assert at_vendor.submit(asset_id) == "submitted"
    assert at_vendor.world.asset(asset_id).published_output_id is not None
    assert wake_withdraw(asset_id) in at_vendor.cancel(asset_id).wakes
    return asset_id


def complete_anew(at_vendor: AtVendor, asset_id: UUID) -> None:
    at_vendor.retry(asset_id)
    assert at_vendor.submit(asset_id) == "submitted"
    at_vendor.tell(asset_id, Phase.COMPLETED)
    assert at_vendor.world.asset(asset_id).status is Status.COMPLETED


def roll_back(at_vendor: AtVendor, asset_id: UUID) -> None:
    with session_of(at_vendor.world.operator) as session:
        rollback_asset(session, at_vendor.world.asset(asset_id).post_id, actor="operator:o")


def test_a_cancellation_discards_every_attempt_of_the_generation(at_vendor: AtVendor) -> None:
    asset_id = cancelled_in_the_second_attempt(at_vendor)
    assert [each.purge_at is None for each in at_vendor.attempts(asset_id)] == [False, False]
    storage = at_vendor.services.storage
    for attempt in at_vendor.attempts(asset_id):
        storage.write(f"posters/{asset_id}/{attempt.id}/poster.jpg", [b"jpg"])

    withdraw(at_vendor.services, asset_id)

    assert list(storage.list(f"posters/{asset_id}")) == []
    with session_of(at_vendor.services.engine) as session:
        [output] = session.scalars(select(Output))
    assert output.removed_at is not None
    assert output.retired_at is not None


@pytest.mark.parametrize("withdrawn_first", [True, False], ids=["files gone", "files to go"])
def test_no_rollback_publishes_outputs_that_a_cancellation_withdrew(
    at_vendor: AtVendor, withdrawn_first: bool
) -> None:
    asset_id = cancelled_in_the_second_attempt(at_vendor)
    if withdrawn_first:
        withdraw(at_vendor.services, asset_id)
    complete_anew(at_vendor, asset_id)

    with pytest.raises(Conflict) as refused:
        roll_back(at_vendor, asset_id)

    assert refused.value.code == "nothing_to_roll_back"
    assert at_vendor.job(asset_id).billed, "what replaced them stays"
