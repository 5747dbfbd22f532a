from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from api.http.ranges import choose_range
from pipeline.storage.base import Stat


def stored(size: int) -> Stat:
    return Stat("a/b", size, '"tag"', "video/mp4", datetime(2026, 1, 2, 3, 4, 5, 678, UTC))


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_a_part_is_what_a_slice_would_be(size: int, first: int, last: int) -> None:
    content = bytes(size)[first : last + 1]
    if last < first:
        assert choose_range(f"bytes={first}-{last}", None, stored(size)).is_whole
    elif content:
        part = choose_range(f"bytes={first}-{last}", None, stored(size))
        assert part.stop - part.start == len(content)
    else:
        with pytest.raises(RequestedRangeNotSatisfiable):
            choose_range(f"bytes={first}-{last}", None, stored(size))


@given(st.text(max_size=20))
def test_no_header_breaks_it(asked: str) -> None:
    assert choose_range(asked, asked, stored(10)).stop == 10


@given(st.text("0123456789-,bytes= ", max_size=40))
def test_no_header_leads_out_of_the_object(tail: str) -> None:
    try:
        part = choose_range(f"bytes={tail}", None, stored(10))
    except RequestedRangeNotSatisfiable:
        return
    assert 0 <= part.start < part.stop <= 10


@pytest.mark.parametrize("condition", ["", '"tag"', "Fri, 02 Jan 2026 03:04:05 GMT"])
def test_the_same_version_is_given_in_part(condition: str) -> None:
    assert not choose_range("bytes=0-1", condition, stored(10)).is_whole


@pytest.mark.parametrize("condition", ['W/"tag"', "tag", "Fri, 02 Jan 2026 03:04:06 GMT"])
def test_another_version_is_given_whole(condition: str) -> None:
    assert choose_range("bytes=0-1", condition, stored(10)).is_whole
