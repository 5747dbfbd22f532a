from uuid import UUID

import pytest

from pipeline.runtime.ids import read_id

ID = UUID("0b9f7c1e-5d2a-4c3b-9e8f-a1b2c3d4e5f6")


@pytest.mark.parametrize("text", [str(ID), str(ID).upper(), ID.hex, ID.hex.upper()])
def test_an_id_has_hyphens_or_none_in_either_case(text: str) -> None:
    assert read_id(text) == ID


@pytest.mark.parametrize(
    "text",
    [
        *("", f"{{{ID}}}", ID.urn, f" {ID}", f"{ID}\n", str(ID)[:-1], f"{ID}0", ID.hex + "-"),
        *(f"{ID.hex[:8]}-{ID.hex[8:]}", "g" * 32, "\u0661" * 32),
    ],
)
def test_other_text_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="is no UUID"):
        read_id(text)
