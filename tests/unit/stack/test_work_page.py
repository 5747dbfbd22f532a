from pathlib import Path

import pytest

from api.access.work_at_once import Bound
from stack.work_page import render

PAGE = Path(__file__).parents[3] / "docs" / "expensive-requests.md"


def test_the_page_about_expensive_requests_is_the_one_generated_from_their_bounds() -> None:
    wanted = "run: python -m stack.work_page > docs/expensive-requests.md"
    assert PAGE.read_text() == render(), wanted


@pytest.mark.parametrize(
    ("process", "owner", "address"), [(1, 1, 1), (2, 1, 2), (4, 2, 3), (32, 16, 24)]
)
def test_one_owner_has_half_and_one_address_three_quarters(
    process: int, owner: int, address: int
) -> None:
    bound = Bound(process)
    assert (bound.owner, bound.address) == (owner, address)
