from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.domain.values import Profile
from pipeline.providers import refuse_uncapped
from pipeline.providers.base import Capabilities, Provider
from pipeline.runtime.filed_settings import SettingsInvalid


def account(*, caps_profile: bool) -> Provider:
    able = Capabilities(idempotent_submit=True, margin_sec=5, caps_profile=caps_profile)
    return cast("Provider", SimpleNamespace(capabilities=able))


ACCOUNTS = {"obeys": account(caps_profile=True), "ignores": account(caps_profile=False)}


def test_a_cap_that_an_account_would_ignore_stops_the_start_and_names_it() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        refuse_uncapped(Profile.P720, ACCOUNTS)

    assert "ignores" in str(refused.value)
    assert "obeys" not in str(refused.value)


def test_where_there_is_no_cap_every_account_will_do() -> None:
    refuse_uncapped(None, ACCOUNTS)
    refuse_uncapped(Profile.P720, {"obeys": ACCOUNTS["obeys"]})
