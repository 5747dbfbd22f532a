"""The configured accounts, and the registry of adapters."""

import pytest

from pipeline.config.account_settings import AccountListSettings
from pipeline.providers.accounts import Accounts
from pipeline.providers.registry import AdapterUnknown, adapter_named, adapter_names
from pipeline.runtime.filed_settings import SettingsInvalid, read_settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Accounts:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Accounts.read(read_settings(AccountListSettings))


def test_without_a_list_there_is_our_own_transcoder(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = read(
        monkeypatch,
        KHRONIKA_SELFHOSTED_URL="http://127.0.0.1:9",
        KHRONIKA_SELFHOSTED_TOKEN="token",
        KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS=SECRET,
    )

    assert list(accounts.by_name) == ["selfhosted"]
    assert accounts.default == "selfhosted"
    assert accounts.first_secrets == {"selfhosted": [SECRET]}


def test_two_accounts_of_one_adapter_have_variables_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accounts = read(
        monkeypatch,
        KHRONIKA_ACCOUNTS="near:selfhosted, far:selfhosted",
        KHRONIKA_NEAR_URL="http://127.0.0.1:8",
        KHRONIKA_NEAR_TOKEN="near",
        KHRONIKA_FAR_URL="http://127.0.0.1:9",
        KHRONIKA_FAR_TOKEN="far",
    )

    urls = {name: str(account.settings.url) for name, account in accounts.by_name.items()}
    assert urls == {"near": "http://127.0.0.1:8/", "far": "http://127.0.0.1:9/"}
    assert accounts.default == "near"


@pytest.mark.parametrize(
    ("listed", "named"),
    [
        ("tyop", "KHRONIKA_ACCOUNTS"),
        ("near:tyop", "KHRONIKA_ACCOUNTS"),
        ("near:selfhosted,near:selfhosted", "KHRONIKA_ACCOUNTS"),
        ("Near:selfhosted", "KHRONIKA_ACCOUNTS"),
        ("", "KHRONIKA_ACCOUNTS"),
        ("near:selfhosted", "KHRONIKA_NEAR_TOKEN"),
    ],
)
def test_an_unknown_account_or_a_missing_credential_stops_the_start_and_is_named(
    listed: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsInvalid, match=named):
        read(monkeypatch, KHRONIKA_ACCOUNTS=listed)


def test_a_secret_that_the_adapter_cannot_use_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        read(
            monkeypatch,
            KHRONIKA_SELFHOSTED_URL="http://127.0.0.1:9",
            KHRONIKA_SELFHOSTED_TOKEN="token",
            KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS="not base64!",
        )

    assert "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS" in str(refused.value)
    assert "not base64" not in str(refused.value)


def test_every_module_among_the_adapters_declares_one() -> None:
    for name in adapter_names():
        assert adapter_named(name).settings.__doc__

    with pytest.raises(AdapterUnknown, match="selfhosted"):
        adapter_named("tyop")
