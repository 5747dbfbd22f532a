"""The commands for provider accounts. They use the database; `audit` calls the account too.

They import the modules of the pipeline when they run, as in ``cli.operator_commands``.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.adapter_skeleton import new_adapter
from cli.command_output import CommandOutput
from cli.options import Provider, with_output
from cli.provider_audit import audit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.domain.routing import AccountState
    from pipeline.operations.account_facts import AccountFacts
    from pipeline.providers.account_terms import AccountTerms

app = typer.Typer(
    help="Provider accounts: their state, their jobs and their cost.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

HEADINGS = (
    *("account", "adapter", "state", "problem", "paused until", "rejected", "breaker", "jobs"),
    *("videos this hour", "minutes this hour", "cost this month"),
)


@app.command(name="list")
@with_output
def list_all(output: CommandOutput) -> None:
    """List the accounts in the order in which they are chosen.

    `rejected` counts successes in a row whose outputs did not pass our checks; an account with any
    gets few jobs until one passes. The cost is an estimate: minutes encoded, times the account's
    price.
    """
    from cli.operator_session import operator_session
    from pipeline.operations.account_facts import read_accounts
    from pipeline.records.releases import owed_by_account

    terms = _terms()
    with operator_session() as session:
        found = read_accounts(session, terms)
        owed = owed_by_account(session)
    table = Table(*HEADINGS)
    for each in found:
        output.data(each.document())
        table.add_row(*map(Text, _cells(each)))
    output.show(table)
    for name in sorted(owed.keys() - {each.name for each in found}):
        output.data({"name": name, "state": "not_configured", "releases_owed": owed[name]})
        output.show(
            f"{name} is not configured and owes {owed[name]} releases: configure it again, "
            f"or run `khronika providers write-off {name}`."
        )


@app.command()
@with_output
def enable(output: CommandOutput, provider: Provider) -> None:
    """Give an account new jobs, and forget its problem, pause and rejected successes.

    Videos that wait for want of an account go on within seconds.
    """
    from pipeline.domain.routing import AccountState

    _set_state(output, provider, AccountState.ENABLED)


@app.command()
@with_output
def drain(output: CommandOutput, provider: Provider) -> None:
    """Give an account no new jobs; those that it has go on."""
    from pipeline.domain.routing import AccountState

    _set_state(output, provider, AccountState.DRAIN)


@app.command()
@with_output
def disable(output: CommandOutput, provider: Provider) -> None:
    """Give an account no new jobs, and make no call to it.

    Its callbacks are still taken. A job that does not end by a callback is given up at its deadline
    and starts again at another account.
    """
    from pipeline.domain.routing import AccountState

    _set_state(output, provider, AccountState.DISABLED)


app.command()(audit)
app.command(name="new")(new_adapter)


@app.command()
@with_output
def write_off(
    output: CommandOutput,
    provider: Provider,
    *,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Write the releases off. Without it, only count them."),
    ] = False,
) -> None:
    """Give up the releases that are owed at an account which is not configured any more.

    Its jobs may go on at the vendor, who may charge for them: end them there. Each video's
    chronicle gets an event, `written_off`.
    """
    from cli.operator_session import current_operator, worker_services
    from pipeline.domain.audit_types import AuditType
    from pipeline.lifecycle.write_off import refuse_configured, write_off_batch
    from pipeline.records.releases import owed_by_account
    from pipeline.runtime.database import session_of

    operator, written_off = current_operator(), 0
    with worker_services() as services:
        refuse_configured(services.providers, provider)
        with session_of(services.engine) as session:
            owed = owed_by_account(session).get(provider, 0)
        if yes and owed:
            operator.audit_first(AuditType.PROVIDER_WRITE_OFF, provider=provider, releases=owed)
        while yes and owed:
            with session_of(services.engine) as session:
                batch = write_off_batch(session, provider, actor=operator.actor)
            written_off += batch
            if not batch:
                break
    output.data({"provider": provider, "owed": owed, "written_off": written_off})
    if yes:
        output.show(f"{provider}: {written_off} releases written off")
    else:
        output.show(
            f"{provider}: {owed} releases owed. Nothing was changed; --yes writes them off."
        )


def _set_state(output: CommandOutput, provider: str, state: "AccountState") -> None:
    from cli.operator_session import current_operator, operator_session, operator_settings
    from pipeline.operations.account_control import AUDITED_AS, set_account_state

    configured = [entry.name for entry in operator_settings().accounts.names]
    with operator_session() as session:
        change = set_account_state(session, configured, provider, state)
        current_operator().audit(
            session, AUDITED_AS[state], provider=provider, was=change.was.value
        )
    output.data(
        {
            "provider": provider,
            "state": state.value,
            "was": change.was.value,
            "made_due": change.made_due,
        }
    )
    output.show(f"{provider}: {state.value} (was {change.was.value})")
    if change.made_due:
        output.show(f"{change.made_due} waiting videos go on")


def _terms() -> "Sequence[AccountTerms]":
    """Read the terms of the configured accounts.

    Raises:
        CommandFailed: the settings are wrong.
    """
    from cli.operator_session import operator_settings, reading_settings
    from pipeline.providers.account_terms import read_terms

    settings = operator_settings()
    with reading_settings():
        return read_terms(settings.accounts, settings.spend.limits)


def _cells(facts: "AccountFacts") -> list[str]:
    limits = facts.terms.limits
    minutes = facts.hour.media_sec / 60
    paused = facts.paused_until
    return [
        facts.name,
        facts.terms.adapter,
        facts.state.value,
        _problem(facts),
        paused.isoformat(timespec="seconds") if paused else "",
        str(facts.lies),
        facts.breaker_state,
        str(facts.jobs),
        f"{facts.hour.assets} of {_limit(limits.assets_per_hour)}",
        f"{minutes:.1f} of {_limit(limits.minutes_per_hour)}",
        f"{facts.month_cost:.2f}",
    ]


def _problem(facts: "AccountFacts") -> str:
    if facts.problem is None:
        return ""
    return f"{facts.problem} (since {(facts.problem_age_sec or 0) / 60:.0f} min)"


def _limit(limit: Any) -> str:
    return "any" if limit is None else f"{limit:g}"
