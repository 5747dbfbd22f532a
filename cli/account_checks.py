"""The checks of provider accounts: credentials, secrets, the route of callbacks, states.

None of them costs anything at a provider.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from uuid import uuid4

import requests
from sqlalchemy import Connection, Select, func, select
from sqlalchemy.orm import Session

from cli.check_failed import CheckFailed
from cli.database_checks import connected
from cli.service_checks import TIMEOUT_SEC
from pipeline.domain.errors import AccountProblem, ProviderError
from pipeline.domain.values import JobRef
from pipeline.net.signatures import Rejection
from pipeline.operations.account_facts import AccountFacts, read_accounts
from pipeline.process_settings import DoctorSettings
from pipeline.providers.account_terms import AccountTerms, terms_of
from pipeline.providers.accounts import open_accounts, prefix_of
from pipeline.providers.active_secrets import vault_of
from pipeline.providers.base import Provider
from pipeline.providers.callback_secrets import active
from pipeline.providers.manners import limited_by
from pipeline.providers.secret_sealing import VaultLocked
from pipeline.providers.vendor_clocks import reading_clocks
from pipeline.records.models import AuditEvent, Delivery, ProviderSecret
from pipeline.records.releases import owed_by_account

UNSIGNED = b"{}"
"""A callback without a signature, as no provider sends it."""


def check_accounts(settings: DoctorSettings, only: str | None = None) -> str:
    """Ask each account for a job that does not exist: it costs nothing.

    Args:
        only: The account to ask; None for all of them. So in the other checks.
    """
    worker = settings.worker
    opened = open_accounts(worker.accounts, worker.providers, worker.callbacks)
    asked = [name for name in opened if only in (None, name)]
    for name in asked:
        _ask(opened[name])
    return f"answer and accept us: {', '.join(asked)}"


def check_vendor_clock(settings: DoctorSettings, name: str) -> str:
    """Compare the vendor's clock with this machine's, by the answer to a question that is free.

    The bound is the tolerance of signatures: beyond it every callback of the account is rejected.
    """
    worker = settings.worker
    provider = open_accounts(worker.accounts, worker.providers, worker.callbacks)[name]
    with reading_clocks() as readings, suppress(ProviderError):
        provider.find(JobRef(uuid4(), None, datetime.now(UTC)))
    if not readings:
        return f"{name} does not tell the time"
    apart_sec, tolerance_sec = readings[-1], worker.callbacks.tolerance_sec
    if abs(apart_sec) > tolerance_sec:
        raise CheckFailed(
            f"the clock of {name} differs by {apart_sec:+.0f} s from this machine's, more than the "
            f"{tolerance_sec} s that signatures tolerate",
            "Synchronise this machine's clock with NTP; if it is right, tell the vendor.",
        )
    return (
        f"the clock of {name} differs by {apart_sec:+.0f} s from this machine's; signatures "
        f"tolerate {tolerance_sec} s"
    )


def check_callback_signatures(settings: DoctorSettings, name: str) -> str:
    """Tell when a callback of the account was verified last, and require none rejected since.

    Only the provider can sign, so this is the proof that its secret is ours.
    """
    with connected(settings, "operator") as connection, Session(connection) as session:
        verified_at = session.scalar(
            select(func.max(Delivery.received_at)).where(Delivery.provider == name)
        )
        rejected = session.scalars(_rejected_since(name, verified_at)).one()
    last = f"verified last at {verified_at:%Y-%m-%d %H:%M:%S} UTC" if verified_at else "none yet"
    if rejected:
        raise CheckFailed(
            f"{rejected} callbacks with a wrong signature in the last day; {last}",
            f"Give the provider our secret, or us its own: `khronika secrets list {name}`.",
        )
    return f"{last}; none with a wrong signature in the last day"


def _rejected_since(name: str, verified_at: datetime | None) -> Select[int]:
    a_day_ago = datetime.now(UTC) - timedelta(days=1)
    return select(func.count()).where(
        AuditEvent.type == "callback_rejected",
        AuditEvent.provider == name,
        AuditEvent.reason == Rejection.BAD_SIGNATURE.value,
        AuditEvent.created_at > max(verified_at or a_day_ago, a_day_ago),
    )


def _ask(provider: Provider) -> None:
    name = provider.name
    try:
        provider.find(JobRef(uuid4(), None, datetime.now(UTC)))
    except AccountProblem as error:
        raise CheckFailed(
            f"{name} does not accept our credentials: {error}",
            f"Correct the variables {prefix_of(name)}*; docs/settings.md has them.",
        ) from None
    except ProviderError as error:
        raise CheckFailed(
            f"{name} does not answer: {error}",
            f"Check the variables {prefix_of(name)}*, and that the provider runs.",
        ) from None


def check_callback_secrets(settings: DoctorSettings, only: str | None = None) -> str:
    """Check that each account has a callback secret that can be decrypted."""
    first = settings.api.accounts.first_secrets
    names = [name for name in first if only in (None, name)]
    with connected(settings, "operator") as connection, Session(connection) as session:
        found = {
            name: session.scalars(select(ProviderSecret).where(active(name))).all()
            for name in names
        }
    vault = vault_of(settings.api.media_urls.accepted_keys)
    for provider, rows in found.items():
        if not rows and not first[provider]:
            raise CheckFailed(
                f"{provider} has none: its callbacks are rejected",
                f"Make one with `khronika secrets rotate {provider}` and give it to the provider.",
            )
        try:
            for row in rows:
                vault.open(row.secret, account=provider)
        except VaultLocked:
            raise CheckFailed(
                f"KHRONIKA_SECRET_KEY does not decrypt those of {provider}",
                "Restore the key, or set KHRONIKA_SECRET_KEY_PREVIOUS to it.",
            ) from None
    counts = (f"{provider} {len(rows) or 'from the settings'}" for provider, rows in found.items())
    return f"active: {', '.join(counts)}"


def check_callback_route(settings: DoctorSettings, name: str) -> str:
    """Send an unsigned callback to our public address: 401 proves that the route is reached.

    No callback of a provider can be made here, since only the provider signs. The audit records the
    refusal, as that of any stranger.
    """
    url = f"{settings.api.media_urls.base_url}/api/video-assets/webhook/{name}"
    step = "Check KHRONIKA_PUBLIC_URL, the proxy before the API, and that the API runs."
    try:
        answer = requests.post(url, UNSIGNED, timeout=TIMEOUT_SEC, allow_redirects=False)
    except requests.RequestException as error:
        raise CheckFailed(f"{url} does not answer: {type(error).__name__}", step) from None
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise CheckFailed(
            f"{url} answers 404: the API does not know {name}",
            "Restart the API with this KHRONIKA_ACCOUNTS.",
        )
    if answer.status_code != HTTPStatus.UNAUTHORIZED:
        raise CheckFailed(f"{url} answers {answer.status_code} to an unsigned callback", step)
    return f"{url} refuses an unsigned callback, as it should"


def check_account_states(settings: DoctorSettings, only: str | None = None) -> str:
    """Check that no vendor refuses an account, and that no account that is gone owes releases."""
    terms = terms_of(settings.api.accounts, settings.api.spend.limits)
    with connected(settings, "operator") as connection:
        found, owed = _read_states(connection, terms)
    for name in sorted(owed - {each.name for each in terms}) if only is None else ():
        raise CheckFailed(
            f"{name} is not configured and owes releases",
            f"Configure it again, or run `khronika providers write-off {name}`.",
        )
    shown = [each for each in found if only in (None, each.name)]
    for each in shown:
        if each.problem is not None:
            raise CheckFailed(
                f"the vendor refuses {each.name}: {each.problem}",
                f"Correct it at the vendor, then run `khronika providers enable {each.name}`.",
            )
    return ", ".join(map(_state, shown))


def _read_states(
    connection: Connection, terms: Sequence[AccountTerms]
) -> tuple[Sequence[AccountFacts], set[str]]:
    with Session(connection) as session:
        return read_accounts(session, terms), set(owed_by_account(session))


def _state(facts: AccountFacts) -> str:
    parts = [f"{facts.name} {facts.state.value}"]
    if facts.paused_until:
        parts.append(f"paused until {facts.paused_until.isoformat(timespec='seconds')}")
    if facts.breaker_state != "closed":
        parts.append(f"breaker {facts.breaker_state}")
    if facts.on_probation:
        parts.append(f"on probation after {facts.lies} rejected successes")
    return ", ".join(parts)


def read_pace(settings: DoctorSettings, name: str) -> str:
    """Return the pace of an account: the most calls in a second, and the most jobs at once."""
    worker = settings.worker
    opened = open_accounts(worker.accounts, worker.providers, worker.callbacks)
    able = limited_by(worker.accounts.by_name[name].settings, opened[name].capabilities)
    rates = [f"{verb.value} {rate.per_sec:g} a second" for verb, rate in able.pace.items()]
    jobs = "any number of jobs" if able.max_jobs is None else f"{able.max_jobs} jobs at once"
    return ", ".join([*(rates or ["any number of calls"]), jobs])
