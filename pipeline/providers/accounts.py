"""The configured provider accounts: their settings, and the adapter of each, opened."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, TypeVar, cast

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from pipeline.config.account_settings import (
    AccountListSettings,
    AccountName,
    AccountSettings,
    FirstSecretSettings,
)
from pipeline.config.groups import NamedGroups, SettingsGroup
from pipeline.config.work_settings import CallbackSettings, ProviderSettings
from pipeline.domain.values import SpendLimits
from pipeline.net.signatures import SecretMalformed
from pipeline.providers.base import Adapter, Opening, Provider
from pipeline.providers.registry import AdapterUnknown, adapter_named, adapter_names
from pipeline.runtime.filed_settings import SettingsInvalid, problems_of

Block = TypeVar("Block", bound=FirstSecretSettings)


@dataclass(frozen=True)
class Account:
    """One configured account.

    Attributes:
        settings: The adapter's own class of ``AccountSettings``.
    """

    name: str
    adapter: Adapter
    settings: Any
    adapter_name: str


def settings_class(name: AccountName, block: type[Block]) -> type[Block]:
    """Return a block of settings under the variables of one account; the same each time."""
    return cast("type[Block]", _settings_class(name, cast("Hashable", block)))


@cache
def _settings_class(name: AccountName, block: Hashable) -> Any:
    config = SettingsConfigDict(env_prefix=prefix_of(name.name))
    base = cast("type[Any]", block)
    return type(base.__name__, (base,), {"model_config": config})


def prefix_of(account: str) -> str:
    """Return the beginning of the names of an account's variables."""
    return f"KHRONIKA_{account.upper()}_"


@dataclass(frozen=True)
class Accounts(NamedGroups):
    """The configured accounts, in the order in which they are chosen.

    Attributes:
        default: The account that a new video names, and whose callbacks come to ``/webhook``.
    """

    LIST: ClassVar[type[SettingsGroup]] = AccountListSettings

    by_name: Mapping[str, Account]
    default: str

    @classmethod
    def read(cls, listed: SettingsGroup) -> Self:
        """Read the settings of every account from the environment.

        Raises:
            SettingsInvalid: Names every variable that is missing or wrong, and unknown adapters.
        """
        assert isinstance(listed, AccountListSettings)
        accounts: dict[str, Account] = {}
        problems: list[str] = []
        for entry in listed.names:
            try:
                accounts[entry.name] = _read(entry)
            except AdapterUnknown as error:
                problems.append(f"KHRONIKA_ACCOUNTS: {error}")
            except SettingsInvalid as error:
                problems += error.problems
        if problems:
            raise SettingsInvalid(problems)
        return cls(accounts, listed.default)

    def groups(self) -> Iterable[SettingsGroup]:
        """Return the settings of every account."""
        return [account.settings for account in self.by_name.values()]

    @property
    def first_secrets(self) -> Mapping[str, Sequence[str]]:
        """The callback secrets that the settings name, by account."""
        return {
            name: [secret.get_secret_value() for secret in account.settings.webhook_secrets]
            for name, account in self.by_name.items()
        }

    def spend_limits(self, account: str, shared: SpendLimits) -> SpendLimits:
        """Return the hourly budget of an account: its own, else the one that all have."""
        settings: AccountSettings = self.by_name[account].settings
        return settings.spend_limits(shared)


def account_blocks(listed: AccountListSettings) -> Mapping[str, type[AccountSettings]]:
    """Return the class of settings of every account whose adapter there is."""
    known = set(adapter_names())
    return {
        entry.name: settings_class(entry, adapter_named(entry.adapter).settings)
        for entry in listed.names
        if entry.adapter in known
    }


def _read(entry: AccountName) -> Account:
    adapter = adapter_named(entry.adapter)
    block = settings_class(entry, adapter.settings)
    try:
        settings = block()
    except ValidationError as error:
        raise SettingsInvalid(problems_of(block, error)) from None
    secrets = [secret.get_secret_value() for secret in settings.webhook_secrets]
    problem = _secret_problem(entry, adapter, secrets)
    if problem:
        raise SettingsInvalid([problem])
    return Account(entry.name, adapter, settings, entry.adapter)


def check_secrets(entry: AccountName, secrets: Sequence[str]) -> None:
    """Check secrets of an account's settings by its adapter's format.

    Raises:
        SettingsInvalid: The adapter is unknown, or a secret cannot be one.
    """
    try:
        problem = _secret_problem(entry, adapter_named(entry.adapter), secrets)
    except AdapterUnknown as error:
        problem = f"KHRONIKA_ACCOUNTS: {error}"
    if problem:
        raise SettingsInvalid([problem])


def _secret_problem(entry: AccountName, adapter: Adapter, secrets: Sequence[str]) -> str | None:
    try:
        for secret in secrets:
            adapter.secrets.check(secret)
    except SecretMalformed as error:
        return f"{prefix_of(entry.name)}WEBHOOK_SECRETS: {error}"
    return None


def open_accounts(
    accounts: Accounts, common: ProviderSettings, callbacks: CallbackSettings
) -> Mapping[str, Provider]:
    """Open the adapter of every account, in the same order. Nothing is called yet."""
    return {
        name: account.adapter.open(
            Opening(
                name,
                account.settings,
                timeout_sec=common.provider_timeout_sec,
                tolerance_sec=callbacks.tolerance_sec,
            )
        )
        for name, account in accounts.by_name.items()
    }
