from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from pipeline.storage.base import KeyRefused, check_key


@given(st.text(alphabet=st.sampled_from("ab./\\\0\n~é"), max_size=12))
def test_a_key_that_passes_never_leaves_its_folder(key: str) -> None:
    try:
        checked = check_key(key)
    except KeyRefused:
        return
    path = PurePosixPath("/root") / checked

    assert str(path) == f"/root/{key}"
    assert ".." not in path.parts
