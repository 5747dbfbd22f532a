"""Conditions as PostgreSQL prints them, in one spelling.

A condition that was stored as ``(a OR b) OR c`` is printed so, and as ``a OR b OR c`` once it has
been dumped and restored. Both are the same condition.
"""

from collections.abc import Iterator, Sequence

_OPERATORS = (" AND ", " OR ")

Part = str | list["Part"]
"""A text without parentheses, or the parts between two parentheses."""


def flatten_conditions(text: str) -> str:
    """Remove parentheses around an operand that repeats the operator beside it.

    A text whose parentheses do not match, such as one with a literal ``'('``, is left as it is.
    """
    stack: list[list[Part]] = [[]]
    for piece in _pieces(text):
        if piece == "(":
            stack.append([])
        elif piece == ")":
            if len(stack) == 1:
                return text
            closed = stack.pop()
            stack[-1].append(closed)
        else:
            stack[-1].append(piece)
    return _render(stack[0]) if len(stack) == 1 else text


def _pieces(text: str) -> Iterator[str]:
    rest = text
    while rest:
        ends = [end for sign in "()" if (end := rest.find(sign)) >= 0]
        end = max(min(ends, default=len(rest)), 1)
        yield rest[:end]
        rest = rest[end:]


def _render(parts: Sequence[Part]) -> str:
    operator = _operator_of(parts)
    rendered = ""
    for number, part in enumerate(parts):
        if isinstance(part, str):
            rendered += part
            continue
        after = parts[number + 1] if number + 1 < len(parts) else ""
        is_operand = (not rendered or rendered.endswith(operator or "\0")) and (
            not after or str(after).startswith(operator or "\0")
        )
        repeats = operator is not None and is_operand and _operator_of(part) == operator
        rendered += _render(part) if repeats else f"({_render(part)})"
    return rendered


def _operator_of(parts: Sequence[Part]) -> str | None:
    """Return the operator that joins the parts; None if there is none, or both."""
    texts = [part for part in parts if isinstance(part, str)]
    found = [operator for operator in _OPERATORS if any(operator in text for text in texts)]
    return found[0] if len(found) == 1 else None
