"""Active secrets of every account, read from their rows and cached for a few seconds.

Every callback is verified, and a secret changes a few times a year. The cache saves a statement for
each callback, and a rotation takes effect within ``FRESH_SEC``.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, select

from pipeline.config.account_settings import AccountListSettings, FirstSecretSettings
from pipeline.config.work_settings import CallbackSecretSettings
from pipeline.domain.errors import KhronikaError
from pipeline.providers.accounts import check_secrets, settings_class
from pipeline.providers.callback_secrets import active, seed_secrets
from pipeline.providers.secret_sealing import Vault, VaultLocked
from pipeline.records.models import ProviderSecret
from pipeline.runtime.database import session_of
from pipeline.runtime.filed_settings import read_settings

FRESH_SEC = 5.0
"""Age of a reading: shorter than the time to take a new secret from here to the provider."""


class SecretsUnreadable(KhronikaError):
    """The secrets of callbacks do not open with KHRONIKA_SECRET_KEY."""

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"KHRONIKA_SECRET_KEY does not open the callback secrets of {provider}: they were "
            "sealed with another key. Set that key again, or name it in "
            "KHRONIKA_SECRET_KEY_PREVIOUS."
        )


@dataclass(frozen=True)
class _Page:
    secrets: tuple[str, ...]
    read_at: float


class SecretBook:
    """Active secrets of each account. Threads may share it, at the cost of one reading more.

    Args:
        reading: Engine of a login that may read the rows.
        seeding: Engine of the operators' login, which may add the first secrets. Without it, the
            callbacks of an account without a row are verified with its secrets of the settings.
        first: Secrets of the settings, by account.
    """

    def __init__(
        self,
        vault: Vault,
        *,
        reading: Engine,
        seeding: Engine | None,
        first: Mapping[str, Sequence[str]],
        overlap_sec: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault = vault
        self._reading = reading
        self._seeding = seeding
        self._first = first
        self._overlap_sec = overlap_sec
        self._clock = clock
        self._pages: dict[str, _Page] = {}

    def active(self, provider: str) -> tuple[str, ...]:
        """Return the secrets that verify this account's callbacks, newest first.

        Raises:
            SecretsUnreadable: the rows were sealed with another key.
            SQLAlchemyError: the database does not answer, and the last reading is too old.
        """
        page, now = self._pages.get(provider), self._clock()
        if page is None or now - page.read_at >= FRESH_SEC:
            page = _Page(self._read(provider) or self._seeded(provider), now)
            self._pages[provider] = page
        return page.secrets

    def read_all(self) -> None:
        """Read the secrets of every account at the start, and store those of the settings.

        Raises:
            SecretsUnreadable: the rows were sealed with another key.
            SQLAlchemyError: the database does not answer.
        """
        for provider in self._first:
            self.active(provider)

    def _seeded(self, provider: str) -> tuple[str, ...]:
        first = self._first.get(provider, ())
        if not first:
            return ()
        if self._seeding is None:
            return () if self._has_rows(provider) else tuple(first)
        with session_of(self._seeding) as session:
            seed_secrets(session, self._vault, provider, first, overlap_sec=self._overlap_sec)
        return self._read(provider)

    def _has_rows(self, provider: str) -> bool:
        known = select(ProviderSecret.id).where(ProviderSecret.provider == provider).limit(1)
        with session_of(self._reading) as session:
            return session.scalar(known) is not None

    def _read(self, provider: str) -> tuple[str, ...]:
        chosen = (
            select(ProviderSecret.secret)
            .where(active(provider))
            .order_by(ProviderSecret.retires_at.desc().nulls_first())
        )
        with session_of(self._reading) as session:
            sealed = session.scalars(chosen).all()
        try:
            return tuple(self._vault.open(one, account=provider) for one in sealed)
        except VaultLocked:
            raise SecretsUnreadable(provider) from None


def vault_of(keys: Sequence[str]) -> Vault:
    """Return the vault under the installation's keys, the present one first."""
    return Vault(keys[0], keys[1:])


def first_secrets(listed: AccountListSettings) -> Mapping[str, Sequence[str]]:
    """Return the secrets that the settings name, by account. Nothing else of an account is read.

    Raises:
        SettingsInvalid: Names every variable that is wrong.
    """
    found: dict[str, list[str]] = {}
    for name in listed.names:
        group = settings_class(name, FirstSecretSettings)
        secrets = [secret.get_secret_value() for secret in read_settings(group).webhook_secrets]
        check_secrets(name, secrets)
        found[name.name] = secrets
    return found


def open_book(
    keys: Sequence[str],
    settings: CallbackSecretSettings,
    *,
    first: Mapping[str, Sequence[str]],
    reading: Engine,
    seeding: Engine | None,
) -> SecretBook:
    """Make the book of these settings. It reads nothing yet."""
    return SecretBook(
        vault_of(keys),
        reading=reading,
        seeding=seeding,
        first=first,
        overlap_sec=settings.callback_secret_overlap_sec,
    )
