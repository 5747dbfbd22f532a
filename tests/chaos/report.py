"""What a run tells: the table, and the chronicle of whatever went wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.chaos.evidence import Evidence
from tests.chaos.verdicts import Verdict, recovery_sec

CHRONICLES_SHOWN = 5


@dataclass(frozen=True)
class Encodes:
    """What the second phase came to.

    Attributes:
        evidence: Of both phases.
        strikes: What was done to the transcoder, by kind.
        missed: Strikes that found nothing to strike at.
        leftovers: Encoders and scratch that outlived their jobs.
    """

    evidence: Evidence
    strikes: Mapping[str, int]
    missed: Mapping[str, int]
    leftovers: Sequence[str]


@dataclass(frozen=True)
class Tally:
    """What was done to the system.

    Attributes:
        strikes: Faults of processes, servers and wires, by kind.
        skipped: Strikes that could not be made, by kind and reason.
        notes: What else is worth knowing about the strikes.
        scripted: Faults of the provider, by kind.
        answers: Clients' requests, by verb and answer.
    """

    strikes: Mapping[str, int]
    skipped: Mapping[str, int]
    notes: Mapping[str, int]
    scripted: Mapping[str, int]
    answers: Mapping[tuple[str, str], int]


def print_report(
    console: Console, tally: Tally, evidence: Evidence, verdicts: Sequence[Verdict]
) -> None:
    """The whole table."""
    console.print(_faults(tally))
    console.print(_answers(tally))
    console.print(_assets(evidence))
    console.print(_laws(verdicts))
    for verdict in verdicts:
        _print_violations(console, evidence, verdict)


def print_encodes(
    console: Console,
    encodes: Encodes,
    verdicts: Sequence[Verdict],
) -> None:
    """The second phase, and the laws over both."""
    table = _table("The real transcoder: faults injected", "kind", "count")
    for kind, count in sorted(encodes.strikes.items()):
        table.add_row(kind, str(count))
    for kind, count in sorted(encodes.missed.items()):
        table.add_row(f"skipped: {kind}", str(count), style="dim")
    console.print(table)
    console.print(_assets(encodes.evidence))
    console.print(_laws(verdicts))
    for verdict in verdicts:
        _print_violations(console, encodes.evidence, verdict)
    for leftover in encodes.leftovers:
        console.print(f"violated: the transcoder leaves nothing behind: {leftover}", style="red")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _faults(tally: Tally) -> Table:
    table = _table("Faults injected", "kind", "count")
    for kind, count in sorted(tally.strikes.items()):
        table.add_row(kind, str(count))
    for kind, count in sorted(tally.scripted.items()):
        table.add_row(f"provider, {kind}", str(count))
    total = sum(tally.strikes.values()) + sum(tally.scripted.values())
    table.add_row("all", str(total), style="bold", end_section=True)
    for note, count in sorted(tally.notes.items()):
        table.add_row(f"of these: {note}", str(count), style="dim")
    for kind, count in sorted(tally.skipped.items()):
        table.add_row(f"skipped: {kind}", str(count), style="dim")
    return table


def _answers(tally: Tally) -> Table:
    table = _table("Requests by answer", "request", "answer", "count")
    for (verb, answer), count in sorted(tally.answers.items()):
        table.add_row(verb, answer, str(count))
    return table


def _assets(evidence: Evidence) -> Table:
    table = _table("Assets by end state", "end state", "acknowledged", "all")
    acknowledged = {entry.asset_id for entry in evidence.acknowledged}
    ends: Counter[tuple[str, bool]] = Counter()
    for asset in evidence.books.assets:
        end = "deleted" if asset.deleted_at else asset.status
        if end == "failed":
            end = f"failed: {asset.error_code}"
        ends[end, asset.id in acknowledged] += 1
    for end in sorted({end for end, _ in ends}):
        known = ends[end, True]
        table.add_row(end, str(known), str(known + ends[end, False]))
    table.add_row("all", str(len(acknowledged)), str(len(evidence.books.assets)), style="bold")
    return table


def _laws(verdicts: Sequence[Verdict]) -> Table:
    table = _table("Laws", "law", "checked", "violations")
    for verdict in verdicts:
        style = "red" if verdict.violations else ""
        row = (verdict.law, str(verdict.checked), str(len(verdict.violations)))
        table.add_row(*row, style=style)
    return table


def _print_violations(console: Console, evidence: Evidence, verdict: Verdict) -> None:
    for number, violation in enumerate(verdict.violations):
        console.print(f"violated: {verdict.law}: {violation.what}", style="red", markup=False)
        if violation.asset_id is not None and number < CHRONICLES_SHOWN:
            for line in chronicle_lines(evidence, violation.asset_id):
                console.print(line, highlight=False, markup=False, soft_wrap=True)


def chronicle_lines(evidence: Evidence, asset_id: str) -> list[str]:
    """An asset's story: its events, and what the provider's books say of its jobs."""
    asset = evidence.books.asset_of.get(asset_id)
    lines = [f"  asset {asset_id}: {asset or 'no such row'}"]
    lines += [
        f"  {event.seq:>3} {event.created_at:%H:%M:%S.%f} {event.type:<18} "
        f"{event.from_status or '':>10} -> {event.to_status or '':<10} "
        f"attempt {event.attempt} {event.actor} {dict(event.detail)}"
        for event in evidence.books.chronicles.get(asset_id, ())
    ]
    attempts = [attempt for attempt in evidence.books.attempts if attempt.asset_id == asset_id]
    jobs = {job.id: job for job in evidence.books.jobs}
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        lines.append(f"  {attempt}")
        lines.append(f"    in the books: {jobs.get(attempt.id, 'nothing')}")
    ids = {attempt.id for attempt in attempts}
    lines += [f"    {sent}" for sent in evidence.sent if sent.job_id in ids]
    return lines


def summary(
    evidence: Evidence, tally: Tally, verdicts: Sequence[Verdict], seed: int, *, held: bool
) -> str:
    """The last line.

    Args:
        held: Whether everything did, the second phase included.
    """
    faults = sum(tally.strikes.values()) + sum(tally.scripted.values())
    slowest = max(
        (recovery_sec(evidence, asset.id) for asset in evidence.books.assets), default=0.0
    )
    broken = sum(1 for verdict in verdicts if verdict.violations)
    return (
        f"chaos: {'ok' if held else 'FAILED'} seed={seed} assets={len(evidence.books.assets)} "
        f"faults={faults} (strikes={sum(tally.strikes.values())}) "
        f"violated={broken}/{len(verdicts)} "
        f"slowest_recovery_sec={slowest:.1f} bound_sec={evidence.recovery_sec:.1f}"
    )
