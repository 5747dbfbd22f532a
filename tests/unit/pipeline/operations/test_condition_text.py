"""A condition has one spelling, whether it was migrated or restored."""

import pytest

from pipeline.operations.condition_text import flatten_conditions


@pytest.mark.parametrize(
    ("printed", "flat"),
    [
        ("WHEN (((a) OR (b)) OR (c))", "WHEN ((a) OR (b) OR (c))"),
        ("((a) OR ((b) OR (c)))", "((a) OR (b) OR (c))"),
        ("(((a) AND (b)) AND ((c) AND (d)))", "((a) AND (b) AND (c) AND (d))"),
    ],
)
def test_an_operand_that_repeats_the_operator_loses_its_parentheses(
    printed: str, flat: str
) -> None:
    assert flatten_conditions(printed) == flat


@pytest.mark.parametrize(
    "text",
    [
        "(((a) OR (b)) AND (c))",
        "((NOT ((a) OR (b))) OR (c))",
        "(NOT ((a) OR (b)) OR (c))",
        "(f((a) OR (b)) OR (c))",
        "(((a) OR (b)) IS TRUE OR (c))",
        "(x = '(' OR ((a) OR (b)) OR y)",
        "a ) b",
        "",
    ],
)
def test_everything_else_is_left_as_it_is(text: str) -> None:
    assert flatten_conditions(text) == text
