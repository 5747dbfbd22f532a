"""Vendors that take equal sources for one job: the second video waits, and no worker ends."""

from dataclasses import replace
from typing import Any

from pipeline.domain.states import Status
from pipeline.domain.values import SubmitRequest, Submitted
from pipeline.lifecycle.submit import submit
from pipeline.providers.base import Provider
from pipeline.services import Services
from tests.integration.pipeline.conftest import World


class Merging:
    """An account whose vendor answers every submission with the same job."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner

    def submit(self, request: SubmitRequest) -> Submitted:
        """Take the job as the inner account does, under another name."""
        return replace(self._inner.submit(request), provider_job_id="the one job")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def merging(services: Services) -> Services:
    account: Any = Merging(services.providers["selfhosted"])
    return replace(services, providers={"selfhosted": account})


def test_a_video_that_gets_the_job_of_another_is_held_and_told_why(world: World) -> None:
    services = merging(world.services)
    first, second = world.create(), world.create()

    assert submit(services, first).result == "submitted"
    assert submit(services, second).result == "retrying"

    asset = world.asset(second)
    assert (asset.status, asset.hold_reason, asset.failures) == (
        Status.RETRYING,
        "job_shared",
        0,
    )
    assert "the one job" in world.chronicle(second)[-1].detail["message"]
    assert world.asset(first).provider_job_id == "the one job"
