"""Terms of each provider account: its adapter, its hourly budget and its prices.

They are in the part of its settings that every adapter has. So an operator's command reads them
without the account's credentials.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config.account_settings import AccountListSettings, AccountSettings
from pipeline.domain.prices import Prices
from pipeline.domain.values import SpendLimits
from pipeline.providers.accounts import Accounts, settings_class
from pipeline.runtime.filed_settings import read_settings


@dataclass(frozen=True)
class AccountTerms:
    """The terms of one account.

    Attributes:
        adapter: The name of its adapter.
        limits: Its budget of a clock hour.
    """

    name: str
    adapter: str
    limits: SpendLimits
    prices: Prices


def terms_of(accounts: Accounts, shared: SpendLimits) -> Sequence[AccountTerms]:
    """Return the terms of accounts whose settings have been read.

    Args:
        shared: The budget of an account that has none of its own.
    """
    return [
        _terms(account.name, account.adapter_name, account.settings, shared)
        for account in accounts.by_name.values()
    ]


def read_terms(listed: AccountListSettings, shared: SpendLimits) -> Sequence[AccountTerms]:
    """Read the terms of the listed accounts from the environment, and no credentials.

    Raises:
        SettingsInvalid: Names every variable of an account that is wrong.
    """
    return [
        _terms(
            entry.name,
            entry.adapter,
            read_settings(settings_class(entry, AccountSettings)),
            shared,
        )
        for entry in listed.names
    ]


def _terms(name: str, adapter: str, settings: AccountSettings, shared: SpendLimits) -> AccountTerms:
    return AccountTerms(name, adapter, settings.spend_limits(shared), settings.prices)
