"""One story at each vendor on a whole stack; `make evidence` tells the others too."""

from collections.abc import Iterator

import pytest

from tests.acceptance.exchanges import secrets_in
from tests.acceptance.telling import Telling
from tests.acceptance.vendor_stage import VendorStage, open_vendor_stages, own_folder
from tests.acceptance.vendor_stories.five import tell_success
from tests.vendors.directed import VENDORS


@pytest.fixture(scope="module")
def stages() -> Iterator[dict[str, VendorStage]]:
    with own_folder() as root, open_vendor_stages(root, VENDORS) as stages:
        yield stages


@pytest.mark.parametrize("name", VENDORS)
def test_a_video_becomes_playable_at_the_vendor(stages: dict[str, VendorStage], name: str) -> None:
    telling = Telling()
    stages[name].open()

    tell_success(stages[name], telling)

    assert telling.claims[""]
    environment = stages[name].stage.stack.environment
    assert secrets_in("\n".join(telling.blocks), environment) == []
