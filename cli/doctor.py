"""The checks of `khronika doctor`, and their results."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from cli import account_checks, database_checks, service_checks
from cli.check_failed import CheckFailed
from pipeline.config.groups import load_settings
from pipeline.domain.errors import NotFound
from pipeline.process_settings import DoctorSettings
from pipeline.runtime.filed_settings import SettingsInvalid

ROLES = ("api", "worker", "operator", "public")


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: The name of the check.
        ok: True if it passed, None if it was not made.
        detail: The facts that it found.
        next_step: The action that solves a problem.
    """

    name: str
    ok: bool | None
    detail: str
    next_step: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return asdict(self)


Check = Callable[[DoctorSettings], str]

CHECKS: Mapping[str, Check] = {
    "accepted risks": service_checks.check_risks,
    **{f"database as {role}": partial(database_checks.check_role, role=role) for role in ROLES},
    "migrations": database_checks.check_migrations,
    "catalogue": database_checks.check_schema,
    "posts": database_checks.check_posts_table,
    "issuers of tokens": service_checks.check_issuers,
    "clock": database_checks.check_clock,
    "broker": service_checks.check_broker,
    "callback secrets": account_checks.check_callback_secrets,
    "storage": service_checks.check_storage,
    "ffmpeg, ffprobe": service_checks.check_tools,
    "isolation of ffmpeg": service_checks.check_isolation,
    "provider accounts": account_checks.check_accounts,
    "states of accounts": account_checks.check_account_states,
    "withdrawn videos": database_checks.check_withdrawals,
}
"""The checks by name; each returns the facts that it found, or raises `CheckFailed`."""

ACCOUNT_CHECKS: Mapping[str, Callable[[DoctorSettings, str], str]] = {
    "database": lambda settings, _: database_checks.check_role(settings, "operator"),
    "clock": lambda settings, _: database_checks.check_clock(settings),
    "credentials": account_checks.check_accounts,
    "vendor's clock": account_checks.check_vendor_clock,
    "callback secret": account_checks.check_callback_secrets,
    "callback route": account_checks.check_callback_route,
    "callback signature": account_checks.check_callback_signatures,
    "state": account_checks.check_account_states,
    "pace": account_checks.read_pace,
}
"""The checks of one provider account."""


def run_checks(account: str | None = None) -> Iterator[CheckResult]:
    """Make all checks; a check comes after those that it depends on.

    Args:
        account: The provider account to check alone; None for the whole system.

    Raises:
        NotFound: ``unknown_provider``.
    """
    names = CHECKS if account is None else ACCOUNT_CHECKS
    try:
        settings = load_settings(DoctorSettings)
    except SettingsInvalid as error:
        yield CheckResult("settings", False, str(error), "Set the variables that are named.")
        yield from (CheckResult(name, None, "not checked: needs the settings") for name in names)
        return
    checks = CHECKS if account is None else _checks_of(settings, account)
    yield CheckResult("settings", True, f"complete, for {settings.api.media_urls.base_url}")
    for name, check in checks.items():
        yield _run_check(name, check, settings)


def _checks_of(settings: DoctorSettings, account: str) -> Mapping[str, Check]:
    if account not in settings.worker.accounts.by_name:
        raise NotFound("unknown_provider", f"There is no provider account {account!r}.")
    return {name: partial(_about, check, account) for name, check in ACCOUNT_CHECKS.items()}


def _about(
    check: Callable[[DoctorSettings, str], str], account: str, settings: DoctorSettings
) -> str:
    return check(settings, account)


def _run_check(name: str, check: Check, settings: DoctorSettings) -> CheckResult:
    try:
        return CheckResult(name, True, check(settings))
    except CheckFailed as failed:
        return CheckResult(name, False, str(failed), failed.next_step)
