"""Providers of both kinds, and waits that only a test ends."""

from copy import copy
from dataclasses import replace

from pipeline.providers.base import Capabilities
from pipeline.providers.selfhosted import SelfHosted
from pipeline.services import Services

LONG_WAITS = {
    "KHRONIKA_BACKOFF_BASE_SEC": "36000",
    "KHRONIKA_BACKOFF_CAP_SEC": "36000",
    "KHRONIKA_POLL_LEAST_SEC": "3600",
    "KHRONIKA_WAKE_GRACE_SEC": "3600",
    "KHRONIKA_LEASE_SEC": "3600",
}
"""Nothing falls due while a test runs unless the test says so: the same steps do the same again."""


def patient(services: Services, *, repeats: bool) -> Services:
    """The same services with a provider whose calls may be on their way for an hour.

    Args:
        repeats: A repeated request makes no second job; otherwise every request makes one.
    """
    adapter = services.providers["selfhosted"]
    assert isinstance(adapter, SelfHosted)
    slow = copy(adapter)
    slow.capabilities = Capabilities(idempotent_submit=repeats, margin_sec=3600)
    return replace(services, providers={"selfhosted": slow})
