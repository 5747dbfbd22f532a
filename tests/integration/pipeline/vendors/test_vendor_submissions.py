"""Submissions and questions that go wrong at each vendor: one job is billed, and none is lost."""

from flask import Response

from pipeline.domain.states import Status
from pipeline.domain.values import Phase
from tests.integration.pipeline.vendors.at_vendor import AtVendor

ECHOES_NO_ID = "api_video"
REQUEST_ID = "req-0123456789"


def nonsense(body: str = '{"job": {"state": "NEW_WORD"}}') -> Response:
    """An answer of 200 that follows no contract; each vendor names its request in one header."""
    names = ("X-Request-Id", "CF-Ray", "x-amzn-RequestId")
    headers = dict.fromkeys(names, REQUEST_ID)
    return Response(body, 200, headers, content_type="application/json")


def test_a_submission_that_was_taken_and_not_answered_is_found_and_billed_once(
    at_vendor: AtVendor,
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    fake.script["submit"] = ["drop"]
    asset_id = at_vendor.create()
    assert at_vendor.submit(asset_id) == "unanswered"

    at_vendor.come_to_rest(fake)

    assert world.asset(asset_id).status is Status.COMPLETED
    assert [job.attempt_id for job in fake.jobs.values()] == [world.attempt_id(asset_id)]
    assert world.asset(asset_id).attempt == 1


def test_a_submission_that_never_arrived_is_made_again_and_costs_no_budget(
    at_vendor: AtVendor,
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    fake.script["submit"] = ["lose"]
    asset_id = at_vendor.create()
    assert at_vendor.submit(asset_id) == "unanswered"
    assert fake.jobs == {}

    at_vendor.come_to_rest(fake)

    asset = world.asset(asset_id)
    assert (asset.status, asset.failures) == (Status.COMPLETED, 0)
    assert len(fake.jobs) == 1
    assert at_vendor.asked("submit") == 2


def test_a_callback_proves_the_job_of_a_submission_without_an_answer(at_vendor: AtVendor) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    fake.script["submit"] = ["drop"]
    asset_id = at_vendor.create()
    at_vendor.submit(asset_id)

    told = at_vendor.tell(asset_id, Phase.COMPLETED)

    if fake.adapter == ECHOES_NO_ID:
        assert {each.applied for each in told} == {"unknown_job"}
    else:
        assert world.asset(asset_id).playable_at is not None
    at_vendor.come_to_rest()
    assert world.asset(asset_id).status is Status.COMPLETED
    assert len(fake.jobs) == 1
    assert at_vendor.asked("submit") == 1


def test_an_acceptance_that_is_no_acceptance_is_looked_up_and_its_request_is_kept(
    at_vendor: AtVendor,
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.create()
    fake.script["submit"] = [nonsense()]

    result = at_vendor.submit(asset_id)

    # Our own transcoder's jobs have the ids that we give them, so its body is not needed.
    assert result == ("submitted" if fake.adapter == "selfhosted" else "unanswered")
    assert world.asset(asset_id).failures == 0
    assert world.chronicle(asset_id)[-1].provider_request_id == REQUEST_ID
    at_vendor.come_to_rest(fake)
    assert world.asset(asset_id).status is Status.COMPLETED
    assert len(fake.jobs) == 1


def test_a_report_that_is_no_report_changes_nothing_and_its_request_is_kept(
    at_vendor: AtVendor,
) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    asset_id = at_vendor.submitted()
    fake.script["get"] = [nonsense()]
    before, events = world.asset(asset_id), world.types(asset_id)

    result = at_vendor.poll(asset_id)

    assert result.startswith("waiting: ")
    assert REQUEST_ID in result
    after = world.asset(asset_id)
    assert (after.status, after.attempt_id) == (before.status, before.attempt_id)
    assert world.types(asset_id) == events
    at_vendor.come_to_rest(fake)
    assert world.asset(asset_id).status is Status.COMPLETED


def test_a_look_up_that_is_no_answer_proves_no_absence(at_vendor: AtVendor) -> None:
    world, fake = at_vendor.world, at_vendor.fake
    fake.script["submit"] = ["drop"]
    asset_id = at_vendor.create()
    at_vendor.submit(asset_id)
    fake.script["list"] = fake.script["get"] = [nonsense(), nonsense()]
    for _ in range(2):
        world.make_past(asset_id, "lease_expires_at")
        at_vendor.take_over(asset_id)

    looked_up = [each for each in world.chronicle(asset_id) if each.type == "looked_up"]

    assert [each.provider_request_id for each in looked_up] == [REQUEST_ID] * 2
    at_vendor.come_to_rest(fake)
    assert world.asset(asset_id).status is Status.COMPLETED
    assert len(fake.jobs) == 1
