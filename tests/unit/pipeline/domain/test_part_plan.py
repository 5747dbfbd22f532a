import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.part_plan import MAX_PARTS, MIB, SINGLE_BELOW_BYTES, PartPlan, part_size_for

TIB = 1024**4


@pytest.mark.parametrize(
    ("size_bytes", "part_size_bytes"),
    [
        (1, None),
        (SINGLE_BELOW_BYTES - 1, None),
        (SINGLE_BELOW_BYTES, 8 * MIB),
        (8000 * MIB, 8 * MIB),
        (8000 * MIB + 1, 9 * MIB),
    ],
)
def test_small_files_are_one_request_and_huge_ones_have_larger_parts(
    size_bytes: int, part_size_bytes: int | None
) -> None:
    assert part_size_for(size_bytes, least_bytes=8 * MIB) == part_size_bytes


@given(st.integers(SINGLE_BELOW_BYTES, TIB), st.integers(5, 64))
def test_the_parts_are_the_file_and_never_too_many(size_bytes: int, least_mib: int) -> None:
    part_size = part_size_for(size_bytes, least_bytes=least_mib * MIB)
    assert part_size is not None
    plan = PartPlan(size_bytes, part_size)

    assert 1 <= plan.count <= MAX_PARTS
    assert part_size >= 5 * MIB  # what S3 asks for
    assert plan.offset_of(plan.count) + plan.size_of(plan.count) == size_bytes
    assert 0 < plan.size_of(plan.count) <= part_size
    assert not plan.has(0)
    assert plan.has(1)
    assert not plan.has(plan.count + 1)
