"""A violation is told with the story of its asset."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from tests.chaos.report import Tally, print_report, summary
from tests.chaos.verdicts import judge
from tests.unit.chaos.healthy import altered, healthy

TALLY = Tally(
    strikes={"FLUSHALL": 2},
    skipped={},
    notes={},
    scripted={"PUT: 429": 3},
    answers={("create", "202"): 3},
)


def test_a_violation_prints_its_assets_chronicle_and_what_the_books_say_of_its_jobs() -> None:
    evidence = healthy()
    attempts = altered(evidence.books.attempts, lambda row: row.id == "b1", released_at=None)
    broken = replace(evidence, books=replace(evidence.books, attempts=attempts))
    output = StringIO()
    print_report(Console(file=output, width=200), TALLY, broken, judge(broken))
    told = output.getvalue()
    assert "attempt 1 is still owed its release" in told
    assert all(type_ in told for type_ in ("created", "claimed", "submitted", "cancelled"))
    assert "in the books: JobEntry(id='b1'" in told
    assert "asset A" not in told


def test_the_last_line_says_whether_everything_held_and_counts_what_did_not() -> None:
    evidence = healthy()
    line = summary(evidence, TALLY, judge(evidence), 1, held=True)
    assert line.startswith("chaos: ok seed=1 assets=3")
    stuck = replace(evidence, recovery_sec=0.5)
    line = summary(stuck, TALLY, judge(stuck), 1, held=False)
    assert line.startswith("chaos: FAILED")
    assert "violated=1/23" in line


def test_faults_of_both_kinds_are_counted() -> None:
    line = summary(healthy(), TALLY, [], 1, held=True)
    assert "faults=5 (strikes=2)" in line
