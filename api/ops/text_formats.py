"""The filters of the console's templates for instants, spans and sizes."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))
_SIZES = ("bytes", "KB", "MB", "GB", "TB")
_STEP = 1000
SMALL = 0.1
"""Amounts below it are not rounded to hundredths: a video may cost less than one."""


def instant(at: datetime | None) -> Markup:
    """Return an instant, to the second, in UTC; a dash for None."""
    if at is None:
        return Markup("-")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(), f"{utc:%Y-%m-%d %H:%M:%S.%f} UTC", f"{utc:%Y-%m-%d %H:%M:%S}"
    )


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units, or in milliseconds below a second."""
    if seconds is None:
        return "-"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < _UNITS[-1][0]:
        return f"{seconds:.1f} s"
    rest, parts = int(seconds), []
    for size, name in (*_UNITS, (1, "s")):
        if rest >= size:
            parts.append(f"{rest // size} {name}")
            rest %= size
    return " ".join(parts[:2])


def ago(at: datetime | None) -> str:
    """Return the time since an instant."""
    if at is None:
        return "never"
    return f"{span(max((datetime.now(UTC) - at).total_seconds(), 0))} ago"


def size(bytes_: int | None) -> str:
    """Return a size in decimal units."""
    if bytes_ is None:
        return "-"
    number, unit = float(bytes_), 0
    while number >= _STEP and unit < len(_SIZES) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{number:.3g} {_SIZES[unit]}" if unit else f"{bytes_} bytes"


def cost(amount: float) -> str:
    """Return an estimated amount in the operator's currency; small ones keep two digits."""
    return f"{amount:,.2f}" if amount >= SMALL or amount == 0 else f"{amount:.2g}"


def value(given: Any) -> str:
    """Return a member of a JSON object: text unchanged, anything else as JSON."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)


def breakable(text: Any) -> Markup:
    """Return an id as code, which may be broken at the end of a line."""
    return Markup("<code>{}</code>").format(escape("-" if text is None else text))


FILTERS: Mapping[str, Callable[..., str]] = {
    "instant": instant,
    "span": span,
    "ago": ago,
    "size": size,
    "cost": cost,
    "value": value,
    "id": breakable,
}
