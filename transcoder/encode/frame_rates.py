"""Frame rate of the renditions: the source's own, made constant, at most 60."""

from fractions import Fraction

MAX_RATE = Fraction(60)  # Apple's HLS authoring rule 1.19: not above 60

STANDARD_RATES = (
    *map(Fraction, (5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60)),
    *map(Fraction, ("24000/1001", "30000/1001", "60000/1001")),
)
"""Rates of cameras, films and slow recordings; a variable rate becomes the nearest of them."""

_SAME_RATE = Fraction(1, 2000)
"""Rates closer than this are equal: 24 and 24000/1001 are 1/1000 apart and must stay different."""

_UNKNOWN_RATE = Fraction(25)


_SLOWER = 0.95
"""Share of the fastest spacing that the rate of a variable source may fall short of."""


def output_rate(average: str, *, variable: bool, fastest_rate: float | None = None) -> Fraction:
    """Choose the constant frame rate of every rendition.

    Args:
        average: The source's average rate as a fraction, such as `24000/1001`.
        variable: True if the source's frames are unevenly spaced.
        fastest_rate: Rate of a variable source where its frames are closest; None if unknown.

    Returns:
        The own rate of a constant source, without the container's rounding noise, halved until at
        most 60, which drops whole frames evenly. For a variable source, the standard rate nearest
        to its fastest one that keeps nearly all frames, at most 60.
    """
    if variable and fastest_rate is not None and not _is_near(_parse(average), fastest_rate):
        return _covering(fastest_rate)
    rate = _halved(_parse(average))
    nearest = min(STANDARD_RATES, key=lambda standard: abs(standard - rate) / standard)
    if variable or abs(nearest - rate) / nearest < _SAME_RATE:
        return nearest
    return rate.limit_denominator(1001)


def _is_near(rate: Fraction, fastest_rate: float) -> bool:
    """Return True for a standard rate that is the fastest one; its fraction is the more exact."""
    is_standard = any(abs(rate - each) / each < _SAME_RATE for each in STANDARD_RATES)
    return is_standard and abs(float(rate) / fastest_rate - 1) < 1 - _SLOWER


def _covering(fastest_rate: float) -> Fraction:
    # Whole rates only: rounded instants cannot tell 24 from 24000/1001.
    whole = [rate for rate in STANDARD_RATES if rate.denominator == 1]
    rates = [rate for rate in whole if rate >= _SLOWER * fastest_rate]
    return min(rates, key=lambda rate: abs(float(rate) - fastest_rate), default=MAX_RATE)


def _parse(average: str) -> Fraction:
    try:
        rate = Fraction(average)
    except (ValueError, ZeroDivisionError):
        return _UNKNOWN_RATE
    return rate if rate > 0 else _UNKNOWN_RATE


def _halved(rate: Fraction) -> Fraction:
    # A rate of 60.002, from a phone's rounded timestamps, is 60 and not 30.
    while rate > MAX_RATE * (1 + _SAME_RATE):
        rate /= 2
    return rate
