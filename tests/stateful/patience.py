"""Providers of both kinds, and waits that only a test ends."""

from dataclasses import replace

from pipeline.providers.accounts import open_accounts
from pipeline.providers.adapters.selfhosted import SelfHosted
from pipeline.providers.manners import Mannered
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
    settings = services.settings
    slow = open_accounts(settings.accounts, settings.providers, settings.callbacks)["selfhosted"]
    assert isinstance(slow, SelfHosted)
    slow.capabilities = replace(slow.capabilities, idempotent_submit=repeats, margin_sec=3600)
    return replace(services, providers={"selfhosted": Mannered(slow, services.engine)})
