"""Strategies: valid input with something wrong in it gets further than random bytes do."""

from typing import Any

from hypothesis import strategies as st

HOSTILE_TEXT = st.sampled_from(
    (
        *("", " ", "\x00", "\n", "\r\n", "N/A", "nan", "inf", "-inf", "-1", "0", "0/0", "1/0"),
        *("1e400", "1e999999999", "-1e999999999", "9" * 400, "0x10", "1_000", "١٢", "\ud800"),
        *("../../etc/passwd", "file:///etc/passwd", "//host/x", "%2e%2e/", "a" * 5000),
    )
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE_TEXT | st.text(max_size=20)
)
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """The original with a few spans cut, repeated, overwritten or moved."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 40)))
        match draw(st.sampled_from(("cut", "repeat", "overwrite", "insert"))):
            case "cut":
                del data[at:until]
            case "repeat":
                data[at:at] = bytes(data[at:until]) * draw(st.integers(1, 30))
            case "overwrite":
                data[at:until] = draw(st.binary(max_size=40))
            case _:
                data[at:at] = draw(HOSTILE_TEXT).encode("utf-8", "surrogatepass")
    return bytes(data)


@st.composite
def with_replaced_members(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document of which some members are something else entirely, or missing."""
    match document:
        case dict():
            return {
                name: draw(with_replaced_members(value))
                for name, value in document.items()
                if draw(st.integers(0, 19))
            }
        case list():
            return [draw(with_replaced_members(value)) for value in document]
        case _:
            return draw(HOSTILE_TEXT | ANY_JSON) if draw(st.integers(0, 4)) == 0 else document
