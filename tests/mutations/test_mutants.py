"""Leave out what the laws hang on, and a law is broken: the proofs can fail."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mutations.mutants import ROOT, Mutant
from tests.mutations.plays import PLAYS, WITHOUT_NONCE
from tests.mutations.warm import WarmPython, warm_python

TOKEN_GUARD = Mutant("records/store.py", "advance", "Asset.lease_token == asset.lease_token")
INTENT = Mutant(
    "lifecycle/submit.py",
    "_intend",
    "store.update_attempt(session, claim.attempt.id, intended_at=func.now())",
)
NONCE = Mutant("lifecycle/receive_callback.py", "receive_callback", ".on_conflict_do_nothing()")
SETTLED_ONCE = Mutant(
    "lifecycle/reconcile.py", "_settle", "if settled is None:\n    raise StaleTransition"
)
OLD_NEWS = Mutant(
    "domain/decide.py",
    "decide",
    "if not situation.current_attempt:\n    return Ignore('old_attempt')",
)
REOPENED_DEBT = Mutant("records/releases.py", "note_job", "released_at=_unless_unseen()")


class Caught(NamedTuple):
    """A play that a mutant does not survive, because of this law."""

    mutant: Mutant
    play: str
    law: str


CAUGHT = (
    Caught(TOKEN_GUARD, "overtaken_before_its_intent", "an_attempt_is_posted_once"),
    Caught(INTENT, "killed_after_its_call", "an_attempt_is_posted_once"),
    Caught(NONCE, "called_back_twice", "every_callback_counts_once"),
    Caught(SETTLED_ONCE, "overtaken_with_a_delivery", "every_callback_counts_once"),
    Caught(OLD_NEWS, "failed_when_another_was_under_way", "every_job_is_wanted_or_owed"),
    Caught(REOPENED_DEBT, "released_before_it_was_there", "every_job_is_wanted_or_owed"),
)


@pytest.fixture(scope="module")
def python() -> Iterator[WarmPython]:
    with warm_python() as python:
        yield python


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "caught", CAUGHT, ids=[f"{each.mutant.file}-{each.mutant.function}" for each in CAUGHT]
)
def test_what_is_left_out_is_missed(
    python: WarmPython, caught: Caught, tmp_path: Path, outputs_folder: Path, postgres_url: str
) -> None:
    more = {WITHOUT_NONCE: postgres_url} if caught.mutant is NONCE else {}
    mutant = caught.mutant.grow(tmp_path)

    broken = laws_broken(python, mutant, outputs_folder, caught.play, more=more)

    assert caught.law in broken[caught.play]


@pytest.mark.usefixtures("settings")
def test_the_product_as_it_is_survives_every_play(python: WarmPython, outputs_folder: Path) -> None:
    assert laws_broken(python, ROOT, outputs_folder, *PLAYS) == {play: [] for play in PLAYS}


def laws_broken(
    python: WarmPython,
    product: Path,
    outputs: Path,
    *plays: str,
    more: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Perform the plays with this copy of the product, in a process of its own."""
    environment = {**os.environ, **(more or {})}
    written = python.run(
        "tests.mutations.plays", str(outputs), *plays, product=product, environment=environment
    )
    broken: dict[str, list[str]] = json.loads(written.splitlines()[-1])
    return broken
