"""The audit of the jobs at a provider account. It needs a worker's settings: it calls the account.

It imports the modules of the pipeline when it runs, as in ``cli.operator_commands``.
"""

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command_errors import CommandFailed, ExitCode
from cli.command_output import CommandOutput
from cli.options import Provider, with_output

if TYPE_CHECKING:
    from pipeline.domain.prices import Prices
    from pipeline.operations.account_audit import Ghost, Orphan
    from pipeline.services import Services

PROGRESS_EVERY = 1000
"""Listed jobs between two lines of progress."""


@dataclass
class AuditTotals:
    """The sums of an audit.

    Attributes:
        minutes: Of the orphans that stay.
        monthly_cost: Of storing them.
        missing: Jobs that were named with --job and are no orphans.
    """

    provider: str
    listed: int = 0
    orphans: int = 0
    ghosts: int = 0
    released: int = 0
    minutes: float = 0.0
    monthly_cost: float = 0.0
    missing: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """True if nothing is left to do."""
        return self.orphans == self.released and self.ghosts == 0


@with_output
def audit(
    output: CommandOutput,
    provider: Provider,
    *,
    since: Annotated[
        float, typer.Option("--since", min=0.01, metavar="DAYS", help="Age of the oldest job.")
    ] = 30.0,
    release: Annotated[
        bool, typer.Option("--release", help="Release the orphans that an attempt of ours names.")
    ] = False,
    job: Annotated[
        list[str] | None,
        typer.Option(
            "--job", metavar="ID", help="With --release: release this orphan too. Repeatable."
        ),
    ] = None,
) -> None:
    """Compare the jobs that an account lists with ours. The exit code is 1 if they differ.

    An orphan is a job of the vendor that we do not need: `released` (the vendor has confirmed its
    end, and has it still), `unseen` (our attempt was closed as one without a job), `duplicate` (our
    attempt has another job) or `unknown` (no attempt of ours; another installation may use the
    account). A ghost is a job of ours that the vendor does not list.

    Nothing is changed without --release, and then only orphans are released: `released` and
    `unseen` ones, and those that --job names. Jobs younger than ten minutes are left out.
    """
    from cli.operator_session import worker_services
    from pipeline.domain.errors import ProviderError

    if job and not release:
        raise CommandFailed(
            ExitCode.USAGE, "release_missing", "--job releases an orphan.", "Add --release."
        )
    with worker_services() as services:
        try:
            totals = _audit(output, services, provider, since, _Wanted(release, set(job or ())))
        except ProviderError as error:
            raise CommandFailed(
                ExitCode.UNREACHABLE,
                error.code,
                f"{provider} did not answer, so the audit is not complete: {error}",
                f"See `khronika doctor --provider {provider}`.",
            ) from error
    _show_totals(output, totals)
    if totals.missing:
        raise CommandFailed(
            ExitCode.REFUSED,
            "job_not_orphan",
            f"No orphan has the id {', '.join(totals.missing)}; nothing was done about it.",
            "See the ids of orphans above, or list older ones with --since.",
        )
    if not totals.is_clean:
        raise typer.Exit(ExitCode.NEGATIVE)


@dataclass(frozen=True)
class _Wanted:
    """The orphans to release."""

    release: bool
    jobs: set[str]

    def has(self, orphan: "Orphan") -> bool:
        return self.release and (orphan.is_ours or orphan.job.provider_job_id in self.jobs)


def _audit(
    output: CommandOutput, services: "Services", name: str, since_days: float, wanted: _Wanted
) -> AuditTotals:
    from pipeline.domain.errors import NotFound
    from pipeline.operations.account_audit import AccountAudit

    if name not in services.providers:
        raise NotFound("unknown_provider", f"There is no provider account {name!r}.")
    now = datetime.now(UTC)
    run = AccountAudit(
        services, services.providers[name], since=now - timedelta(days=since_days), now=now
    )
    prices = services.settings.accounts.by_name[name].settings.prices
    totals, named = AuditTotals(name), set[str]()
    for orphan in run.orphans():
        if orphan is None:
            _show_progress(run.listed, totals.listed)
            totals.listed = run.listed
            continue
        if orphan.job.provider_job_id in named:
            continue  # pages shift while a list is read
        named.add(orphan.job.provider_job_id)
        released = wanted.has(orphan) and _release(services, name, orphan)
        _show_orphan(output, totals, orphan, prices, now, released=released)
    for ghost in run.ghosts():
        totals.ghosts += 1
        _show_ghost(output, ghost, now)
    totals.missing = sorted(wanted.jobs - named)
    return totals


def _release(services: "Services", name: str, orphan: "Orphan") -> bool:
    from cli.operator_session import current_operator
    from pipeline.domain.audit_types import AuditType
    from pipeline.operations.account_audit import release_orphan

    job = orphan.job
    current_operator().audit_first(
        AuditType.PROVIDER_RELEASE,
        provider=name,
        provider_job_id=job.provider_job_id,
        attempt_id=str(job.attempt_id) if job.attempt_id else None,
        orphan=orphan.reason.value,
    )
    release_orphan(services.providers[name], orphan)
    return True


def _show_orphan(
    output: CommandOutput,
    totals: AuditTotals,
    orphan: "Orphan",
    prices: "Prices",
    now: datetime,
    *,
    released: bool,
) -> None:
    job = orphan.job
    minutes = None if job.duration_sec is None else job.duration_sec / 60
    cost = prices.storage(job.duration_sec or 0.0)
    totals.orphans += 1
    totals.released += released
    if not released:
        totals.minutes += minutes or 0.0
        totals.monthly_cost += cost
    output.data(
        {
            "kind": "orphan",
            "reason": orphan.reason.value,
            "provider_job_id": job.provider_job_id,
            "attempt_id": str(job.attempt_id) if job.attempt_id else None,
            "created_at": job.created_at,
            "age_days": _days(now - job.created_at),
            "minutes": minutes,
            "monthly_cost": cost,
            "released": released,
        }
    )
    length = "unknown length" if minutes is None else f"{minutes:.1f} min"
    output.show(
        f"orphan {job.provider_job_id} {orphan.reason.value}, {_days(now - job.created_at)} days, "
        f"{length}, {cost:.2f} a month{', released' if released else ''}"
    )


def _show_ghost(output: CommandOutput, ghost: "Ghost", now: datetime) -> None:
    age_days = _days(now - ghost.submitted_at)
    output.data(
        {
            "kind": "ghost",
            "provider_job_id": ghost.provider_job_id,
            "attempt_id": str(ghost.attempt_id),
            "asset_id": str(ghost.asset_id),
            "age_days": age_days,
            "published": ghost.is_published,
        }
    )
    state = "published" if ghost.is_published else "accepted"
    output.show(f"ghost {ghost.provider_job_id} {state}, {age_days} days, video {ghost.asset_id}")


def _show_totals(output: CommandOutput, totals: AuditTotals) -> None:
    summary: dict[str, Any] = {
        "kind": "summary",
        "provider": totals.provider,
        "listed": totals.listed,
        "orphans": totals.orphans,
        "released": totals.released,
        "ghosts": totals.ghosts,
        "minutes": totals.minutes,
        "monthly_cost": totals.monthly_cost,
    }
    output.data(summary)
    output.show(
        f"{totals.provider} lists {totals.listed} jobs: {totals.orphans} orphans "
        f"({totals.released} released), {totals.ghosts} ghosts; the orphans that stay have "
        f"{totals.minutes:.1f} minutes and cost {totals.monthly_cost:.2f} a month"
    )
    if not totals.listed:
        output.show("It lists no job, so nothing can be said about ghosts.")


def _show_progress(listed: int, shown: int) -> None:
    """Print a line to stderr after each thousand jobs."""
    if listed // PROGRESS_EVERY > shown // PROGRESS_EVERY:
        sys.stderr.write(f"{listed} jobs listed\n")
        sys.stderr.flush()


def _days(age: timedelta) -> float:
    return round(age / timedelta(days=1), 2)
