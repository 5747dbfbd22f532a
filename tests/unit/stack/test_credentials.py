import base64
import json
from pathlib import Path

import pytest

from stack.credentials import MAKERS, load_credentials
from stack.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def test_credentials_are_made_once_and_kept_from_others(home: Home) -> None:
    first = load_credentials(home)
    assert set(first) == set(MAKERS)
    assert load_credentials(home) == first
    assert home.secrets.stat().st_mode & 0o777 == 0o600


def test_no_two_credentials_and_no_two_homes_share_a_value(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.make()
    values = [*load_credentials(home).values(), *load_credentials(other).values()]
    assert len(set(values)) == len(values)


def test_a_credential_that_a_newer_version_needs_is_added_and_the_others_stay(home: Home) -> None:
    before = dict(load_credentials(home))
    del before["webhook_secret"]
    home.secrets.write_text(json.dumps(before))
    after = load_credentials(home)
    assert {name: after[name] for name in before} == before
    assert after["webhook_secret"]


def test_the_webhook_secret_is_one_of_standard_webhooks(home: Home) -> None:
    secret = load_credentials(home)["webhook_secret"]
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


def test_a_secrets_file_that_holds_something_else_stops_the_start(home: Home) -> None:
    home.secrets.write_text("[]")
    with pytest.raises(ValueError, match="does not hold a JSON object"):
        load_credentials(home)
