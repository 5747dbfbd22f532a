from fractions import Fraction

import pytest

from transcoder.encode.frame_rates import output_rate


@pytest.mark.parametrize("rate", ["24000/1001", "24/1", "25/1", "30000/1001", "30/1", "60/1"])
def test_a_constant_rate_is_kept_exactly(rate: str) -> None:
    assert output_rate(rate, variable=False) == Fraction(rate)


def test_an_unusual_constant_rate_is_kept_too() -> None:
    assert output_rate("18/1", variable=False) == 18


def test_the_rounding_of_a_container_is_undone() -> None:
    assert output_rate("2997/100", variable=False) == Fraction(30000, 1001)
    assert output_rate("19001/317", variable=False) == Fraction(60000, 1001)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [("120/1", "60"), ("120000/1001", "60000/1001"), ("100/1", "50"), ("240/1", "60")],
)
def test_a_rate_above_sixty_is_halved(rate: str, expected: str) -> None:
    assert output_rate(rate, variable=False) == Fraction(expected)


def test_sixty_and_a_hair_is_sixty() -> None:
    assert output_rate("60002/1000", variable=False) == 60


@pytest.mark.parametrize(
    ("rate", "expected"), [("2915/100", "30000/1001"), ("27/1", "25"), ("600/29", "20")]
)
def test_a_variable_rate_is_brought_to_the_nearest_standard_one(rate: str, expected: str) -> None:
    assert output_rate(rate, variable=True) == Fraction(expected)


@pytest.mark.parametrize("rate", ["0/0", "", "nonsense", "-5/1", "0/1"])
def test_an_unreadable_rate_becomes_a_sensible_one(rate: str) -> None:
    assert output_rate(rate, variable=False) == 25
