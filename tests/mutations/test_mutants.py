"""Leave out what the laws hang on, and a law is broken: the proofs can fail."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.mutations.caught import CAUGHT, NONCE, Caught
from tests.mutations.mutants import ROOT
from tests.mutations.plays import PLAYS, WITHOUT_NONCE
from tests.mutations.warm import WarmPython, warm_python


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

    assert caught.law.name in broken[caught.play]


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
