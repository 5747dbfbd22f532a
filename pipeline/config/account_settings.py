"""Settings of the provider accounts: their names, and the part of each that all adapters share."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from pipeline.config.comma_lists import split_set, split_tuple
from pipeline.config.groups import SettingsGroup
from pipeline.domain.prices import Prices
from pipeline.domain.values import SpendLimits
from pipeline.net.signatures import MAX_ACTIVE_SECRETS

_ENTRY = re.compile(r"([a-z][a-z0-9_]{0,39})(?::([a-z][a-z0-9_]{0,39}))?")

HostPattern = Annotated[str, Field(pattern=r"^([0-9a-z._-]+|\*(\.[0-9a-z_-]+){2,})$")]
"""A host, or ``*.`` and a domain of two labels or more for every host below it."""


@dataclass(frozen=True)
class AccountName:
    """One entry of ``KHRONIKA_ACCOUNTS``.

    Attributes:
        name: The account's name in rows, addresses and variables.
        adapter: The name of its adapter.
    """

    name: str
    adapter: str


class AccountListSettings(SettingsGroup):
    """The provider accounts that exist, in the order in which they are chosen."""

    accounts: Annotated[tuple[str, ...], NoDecode] = Field(("selfhosted",), min_length=1)
    """Names of the accounts, the preferred one first. An entry is ``NAME:ADAPTER``, or ``NAME``
    alone where both are the same. The variables of an account begin with ``KHRONIKA_NAME_``."""

    _split = field_validator("accounts", mode="before")(split_tuple)

    @field_validator("accounts")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [entry for entry in value if _ENTRY.fullmatch(entry) is None]
        if wrong:
            raise ValueError(f"is no NAME or NAME:ADAPTER in lower case: {', '.join(wrong)}")
        names = [entry.partition(":")[0] for entry in value]
        if len(set(names)) < len(names):
            raise ValueError("names an account twice")
        return value

    @property
    def default(self) -> str:
        """The account whose callbacks come to ``/webhook``, and that a new video names."""
        return self.names[0].name

    @property
    def names(self) -> tuple[AccountName, ...]:
        """The accounts, the preferred one first."""
        parts = [entry.partition(":") for entry in self.accounts]
        return tuple(AccountName(name, adapter or name) for name, _, adapter in parts)


class FirstSecretSettings(SettingsGroup):
    """The part of an account that the operators' commands need."""

    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """First secrets of its callbacks, the current one first. They are read while the account has
    none in the database; from then on `khronika secrets` has them."""

    _split_secrets = field_validator("webhook_secrets", mode="before")(split_tuple)

    @field_validator("webhook_secrets")
    @classmethod
    def _few_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if len(value) > MAX_ACTIVE_SECRETS:
            raise ValueError(f"names more than {MAX_ACTIVE_SECRETS} secrets")
        return value


class AccountSettings(FirstSecretSettings):
    """One provider account: the settings that every adapter has."""

    webhook_sources: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks that its callbacks may come from. Empty: any."""
    output_hosts: Annotated[frozenset[HostPattern], NoDecode] = frozenset()
    """Hosts that its outputs may lie on, beside our own storage and the hosts that the adapter
    names. ``*.example.com`` stands for every host below ``example.com``."""
    deadline_sec: int | None = Field(None, ge=1)
    """Seconds that it may work on one attempt. Unset takes ``KHRONIKA_PROCESSING_DEADLINE_SEC``."""
    writes_per_sec: float | None = Field(None, gt=0)
    """Most calls in a second that make, change or remove a job. Unset takes the vendor's published
    limit."""
    reads_per_sec: float | None = Field(None, gt=0)
    """Most calls in a second that only read. Unset takes the vendor's published limit."""
    max_jobs: int | None = Field(None, ge=1)
    """Jobs that may be under way at once. Unset takes the vendor's published limit."""
    assets_per_hour: int | None = Field(None, ge=1)
    """Videos that it may be given in an hour. Unset takes ``KHRONIKA_SPEND_ASSETS_PER_HOUR``."""
    minutes_per_hour: float | None = Field(None, gt=0)
    """Minutes of video that it may be given in an hour. Unset takes
    ``KHRONIKA_SPEND_MINUTES_PER_HOUR``."""
    price_encoded_minute: float = Field(0.0, ge=0)
    """Price of a minute encoded, in your currency."""
    price_stored_minute: float = Field(0.0, ge=0)
    """Price of a minute stored for a month."""
    price_delivered_minute: float = Field(0.0, ge=0)
    """Price of a minute delivered to viewers, for `khronika move --delivered-minutes`. Nothing here
    counts what a vendor delivers: its bill does."""

    _split_networks = field_validator("webhook_sources", mode="before")(split_tuple)
    _split_hosts = field_validator("output_hosts", mode="before")(split_set)

    def spend_limits(self, shared: SpendLimits) -> SpendLimits:
        """Return the budget of the account: its own, else the one that all accounts have."""
        return SpendLimits(
            self.assets_per_hour or shared.assets_per_hour,
            self.minutes_per_hour or shared.minutes_per_hour,
        )

    @property
    def prices(self) -> Prices:
        """The account's prices."""
        return Prices(
            self.price_encoded_minute, self.price_stored_minute, self.price_delivered_minute
        )
