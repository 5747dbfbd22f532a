import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.strict_json import MAX_DEPTH, DocumentRefused, parse_json, read_document

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(
    allow_nan=False, allow_infinity=False
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
DOCUMENTS = st.recursive(
    LEAVES | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
)


@given(DOCUMENTS)
def test_what_is_json_is_read_as_it_was_written(document: Any) -> None:
    assert read_document(json.dumps(document).encode()) == document
    assert read_document(json.dumps(document, ensure_ascii=False).encode()) == document


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


REFUSED = {
    "nothing": b"",
    "a word": b"hello",
    "two documents": b"{}{}",
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "a number beyond a double": b"[1e400]",
    "a very long fraction": b"[0." + b"1" * 5000 + b"]",
    "an integer of 5000 digits": b"[" + b"9" * 5000 + b"]",
    "an integer of 33 digits": b"[" + b"9" * 33 + b"]",
    "a member named twice": b'{"type": "job.progress", "type": "job.completed"}',
    "a member named twice, once escaped": b'{"a": 1, "\\u0061": 2}',
    "a member named twice further in": b'{"data": [{"job": 1, "job": 2}]}',
    "broken UTF-8": b'{"a": "\xff"}',
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-32": '{"a": 1}'.encode("utf-32-le"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NUL": b'["\\u0000"]',
    "NUL in a name": b'{"\\u0000": 1}',
    "half a surrogate pair": b'["\\ud800"]',
    "the other half": b'{"a": {"b": "\\udc00"}}',
    "a control character": b'["\n"]',
    "a comment": b"[1 /* one */]",
    "a comma too many": b"[1,]",
    "arrays one too deep": nested(MAX_DEPTH + 1),
    "objects one too deep": nested(MAX_DEPTH + 1, '{"a":', "}").replace(b":}", b":1}"),
    "a hundred thousand arrays": nested(100_000),
    "a hundred thousand objects": b'{"a":' * 100_000,
    "nesting behind a quote": b'["\\"", ' + nested(MAX_DEPTH) + b"]",
    "a quarter of a million quotes without an end": b'"' + b'\\"' * 125_000,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_readers_differ_on_is_refused(body: bytes) -> None:
    with pytest.raises(DocumentRefused):
        read_document(body)


def test_the_deepest_document_is_read_and_brackets_in_text_count_for_nothing() -> None:
    read_document(nested(MAX_DEPTH))
    assert read_document(b'["[[[[' + b"[" * 100 + b'\\""]')


def test_what_is_said_of_a_document_does_not_repeat_it() -> None:
    for body in REFUSED.values():
        with pytest.raises(DocumentRefused) as refused:
            read_document(body)
        assert "job" not in str(refused.value)
        assert len(str(refused.value)) < 60


@given(st.binary(max_size=200))
def test_no_bytes_end_in_anything_else(body: bytes) -> None:
    with suppress(DocumentRefused):
        read_document(body)


AMBIGUOUS = ("nothing", "a word", "two documents", "NaN", "minus Infinity", "a member named twice")


@pytest.mark.parametrize("name", [*AMBIGUOUS, "broken UTF-8", "a hundred thousand arrays"])
def test_a_request_body_is_refused_for_the_same_ambiguities(name: str) -> None:
    with pytest.raises(DocumentRefused):
        parse_json(REFUSED[name])


def test_a_request_body_may_hold_text_that_its_schema_refuses_by_name() -> None:
    assert parse_json(REFUSED["NUL"]) == ["\0"]
