"""Leave out what the laws hang on, and a law is broken: the proofs can fail."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mutations.mutants import ROOT, Mutant
from tests.mutations.plays import PLAYS, WITHOUT_NONCE

PATIENCE_SEC = 120.0

TOKEN_GUARD = Mutant("store.py", "_write", "Asset.lease_token == asset.lease_token")
INTENT = Mutant(
    "usecases/submit.py",
    "_intend",
    "store.update_attempt(session, claim.attempt.id, intended_at=func.now())",
)
NONCE = Mutant("usecases/receive.py", "receive_callback", ".on_conflict_do_nothing()")
SETTLED_ONCE = Mutant(
    "usecases/reconcile.py", "_settle", "if settled is None:\n    raise StaleTransition"
)
OLD_NEWS = Mutant(
    "reducer.py", "decide", "if not standing.current_attempt:\n    return Ignore('old_attempt')"
)
REOPENED_DEBT = Mutant("debts.py", "note_job", "released_at=_unless_unseen()")


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


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    "caught", CAUGHT, ids=[f"{each.mutant.file}-{each.mutant.function}" for each in CAUGHT]
)
def test_what_is_left_out_is_missed(
    caught: Caught, tmp_path: Path, outputs_folder: Path, postgres_url: str
) -> None:
    more = {WITHOUT_NONCE: postgres_url} if caught.mutant is NONCE else {}

    broken = laws_broken(caught.mutant.grow(tmp_path), outputs_folder, caught.play, more=more)

    assert caught.law in broken[caught.play]


@pytest.mark.usefixtures("settings")
def test_the_product_as_it_is_survives_every_play(outputs_folder: Path) -> None:
    assert laws_broken(ROOT, outputs_folder, *PLAYS) == {play: [] for play in PLAYS}


def laws_broken(
    product: Path, outputs: Path, *plays: str, more: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Perform the plays with this copy of the product, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{product}{os.pathsep}{ROOT}", **(more or {})}
    played = subprocess.run(
        [sys.executable, "-m", "tests.mutations.plays", str(outputs), *plays],
        cwd=product,
        env=environment,
        stdout=subprocess.PIPE,
        timeout=PATIENCE_SEC,
        check=True,
    )
    broken: dict[str, list[str]] = json.loads(played.stdout.splitlines()[-1])
    return broken
