from fractions import Fraction
from itertools import accumulate

import pytest

from transcoder.encode.frame_rates import output_rate
from transcoder.encode.frame_spacing import frame_spacing


def instants(*steps: float) -> list[float]:
    return list(accumulate(steps, initial=0.0))


def rate_of(steps: list[float], average: str = "12/1") -> Fraction:
    spacing = frame_spacing(instants(*steps))
    return output_rate(average, variable=not spacing.even, fastest_rate=spacing.fastest_rate)


@pytest.mark.parametrize(
    ("steps", "rate"),
    [
        ([5.0, *[1 / 60] * 30, 5.0, 5.0], "60"),
        ([5.0, *[1 / 240] * 30, 5.0], "60"),
        ([2.0, *[0.016, 0.017, 0.017] * 5, 2.0], "60"),
        ([2.0, *[1 / 30] * 12, 2.0, 0.5, 0.5], "30"),
        ([3.0, *[0.041, 0.042, 0.042] * 5, 3.0], "24"),
        ([1.0, *[1 / 40] * 20, 1.0], "48"),
        # One short step, as at a seam, is no motion; nor are frames that come late, in a clump.
        ([*[0.04] * 30, 0.023, *[0.04] * 30], "25"),
        ([*[0.04] * 20, 0.3, *[0.001] * 4, *[0.04] * 20], "25"),
        ([0.2, 5.0, 0.3, 4.0], "5"),
    ],
)
def test_a_variable_rate_becomes_the_one_of_its_fastest_lasting_spacing(
    steps: list[float], rate: str
) -> None:
    assert rate_of(steps) == Fraction(rate)


def test_the_exact_fraction_of_a_standard_rate_is_kept() -> None:
    steps = [*[1001 / 24000] * 30, 0.5, *[1001 / 24000] * 30]
    assert rate_of(steps, "24000/1001") == Fraction(24000, 1001)


def test_frames_in_any_order_are_evenly_spaced() -> None:
    shown = instants(*[0.04] * 20)
    spacing = frame_spacing([*shown[10:], *shown[:10]])
    assert spacing.even
    assert spacing.mean_rate == pytest.approx(25)


@pytest.mark.parametrize("starts", [[], [1.0], [1.0, 1.0, 1.0], [0.0, 0.04]])
def test_too_few_frames_have_no_rate(starts: list[float]) -> None:
    assert frame_spacing(starts).mean_rate is None
