from itertools import chain
from pathlib import Path

import pytest

from tests.distribution import LONG_FIRST, TOGETHER, group_of, rank_of

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted({*chain.from_iterable(TOGETHER), *LONG_FIRST}))
def test_a_path_that_the_distribution_names_exists(path: str) -> None:
    assert (CHECKOUT / path).exists()


def test_files_that_share_a_stack_are_one_group_and_others_their_own() -> None:
    demo = group_of("tests/integration/stack/test_demo.py::test_a[b::c]")
    story = group_of("tests/acceptance/test_stories.py::test_a")
    assert demo == story
    assert group_of("tests/unit/test_qa.py::test_a") == "tests/unit/test_qa.py"


def test_long_groups_start_first() -> None:
    groups = ("tests/unit/test_qa.py", "tests/model/test_lease.py", "tests/acceptance/")
    assert sorted(groups, key=rank_of) == list(reversed(groups))
