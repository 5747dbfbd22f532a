import json
import os
from pathlib import Path

import pytest

from pipeline.config.account_settings import AccountListSettings
from pipeline.config.groups import groups_of, load_settings
from pipeline.process_settings import ApiSettings, DoctorSettings
from pipeline.providers.accounts import account_blocks
from pipeline.runtime.filed_settings import SettingsInvalid, may_come_in_files
from pipeline.storage.urls import Credentials


def test_every_wrong_variable_is_named_at_once_and_no_value_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "many")
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", "short-and-secret")
    monkeypatch.setenv("KHRONIKA_SOURCE_ALLOW", "everywhere")
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with pytest.raises(SettingsInvalid) as refused:
        load_settings(ApiSettings)

    said = str(refused.value)
    for name in (
        "PORT",
        "KHRONIKA_JWT_SECRET",
        "KHRONIKA_SOURCE_ALLOW",
        "KHRONIKA_API_DATABASE_URL",
        "KHRONIKA_SELFHOSTED_URL",
        "BROKER_URL",
        "STORAGE_URL",
    ):
        assert name in said
    assert "short-and-secret" not in said


SECRET = "k" * 32
KEYS = "https://site.example/keys"
BY_KEYS = {"issuer": "site", "audience": "people", "algorithm": "ES256", "jwks_url": KEYS}
BY_SECRET = {"issuer": "supabase", "algorithm": "HS256", "secret": SECRET, "operators": True}


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that lacks only somebody who issues tokens."""
    for name in ("API", "WORKER", "OPERATOR", "PUBLIC"):
        monkeypatch.setenv(f"KHRONIKA_{name}_DATABASE_URL", "postgresql://127.0.0.1/khronika")
    monkeypatch.setenv("BROKER_URL", "redis://:secret@127.0.0.1:1/0")
    monkeypatch.setenv("STORAGE_URL", "file:///tmp/khronika")
    monkeypatch.setenv("KHRONIKA_SECRET_KEY", SECRET)
    monkeypatch.setenv("KHRONIKA_SELFHOSTED_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KHRONIKA_SELFHOSTED_TOKEN", SECRET)
    monkeypatch.setenv(
        "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    )
    monkeypatch.delenv("KHRONIKA_JWT_SECRET", raising=False)


def test_how_large_a_source_may_be_is_said_by_settings(
    working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    for name, value in (("BYTES", "5"), ("DURATION_SEC", "6"), ("FRAMES", "7")):
        monkeypatch.setenv(f"KHRONIKA_SOURCE_MAX_{name}", value)

    limits = load_settings(ApiSettings).sources.limits

    assert (limits.max_bytes, limits.max_duration_sec, limits.max_frames) == (5, 6, 7)


def test_the_simple_issuer_is_one_more_and_may_make_operators(
    working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    monkeypatch.setenv("KHRONIKA_JWT_ISSUERS", json.dumps([BY_KEYS, BY_SECRET]))
    issuers = load_settings(ApiSettings).tokens.issuers
    assert {name: issuer.operators for name, issuer in issuers.items()} == {
        "site": False,
        "supabase": True,
        "khronika": True,
    }
    assert issuers["khronika"].audience == "authenticated"


def test_the_simple_issuer_is_needed_only_where_there_is_no_other(
    working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsInvalid, match=r"KHRONIKA_JWT_SECRET: .*missing"):
        load_settings(ApiSettings)
    monkeypatch.setenv("KHRONIKA_JWT_ISSUERS", json.dumps([BY_KEYS]))
    assert list(load_settings(ApiSettings).tokens.issuers) == ["site"]


@pytest.mark.parametrize(
    ("issuers", "said"),
    [
        ("site", "KHRONIKA_JWT_ISSUERS: .*JSON list"),
        ("7", "KHRONIKA_JWT_ISSUERS: .*JSON list"),
        ("[" * 5000, "KHRONIKA_JWT_ISSUERS: .*JSON list"),
        ([BY_KEYS | {"algorithm": "none"}], r"KHRONIKA_JWT_ISSUERS\.0\.algorithm"),
        ([BY_SECRET | {"secret": "short"}], r"KHRONIKA_JWT_ISSUERS\.0\.secret: .*32 bytes"),
        ([BY_KEYS, BY_KEYS], "more than once"),
        ([BY_KEYS | {"issuer": "khronika"}], "more than once"),
        ([BY_KEYS | {"jwks_url": "http://site.example/keys"}], "must be https"),
        ([BY_KEYS | {"jwks_url": "http://127.0.0.1/keys"}], "must be https"),
    ],
)
def test_issuers_that_are_wrong_stop_the_start(
    working: None, monkeypatch: pytest.MonkeyPatch, issuers: object, said: str
) -> None:
    given = issuers if isinstance(issuers, str) else json.dumps(issuers)
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    monkeypatch.setenv("KHRONIKA_JWT_ISSUERS", given)
    with pytest.raises(SettingsInvalid, match=said) as refused:
        load_settings(ApiSettings)
    assert SECRET not in str(refused.value)


def test_keys_come_in_the_clear_from_this_machine_alone_and_only_where_that_is_allowed(
    working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_JWKS_LOOPBACK", "true")
    for host in ("127.0.0.1", "[::1]", "localhost"):
        issuer = BY_KEYS | {"jwks_url": f"http://{host}:8000/keys"}
        monkeypatch.setenv("KHRONIKA_JWT_ISSUERS", json.dumps([issuer]))
        assert load_settings(ApiSettings).tokens.issuers
    for host in ("127.0.0.1.site.example", "10.0.0.1", "localhost.site.example"):
        issuer = BY_KEYS | {"jwks_url": f"http://{host}/keys"}
        monkeypatch.setenv("KHRONIKA_JWT_ISSUERS", json.dumps([issuer]))
        with pytest.raises(SettingsInvalid, match="must be https"):
            load_settings(ApiSettings)


@pytest.mark.parametrize("profile", ["999p", "1080", "1080P", ""])
def test_a_profile_that_is_none_stops_the_start_and_says_which_there_are(
    monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    monkeypatch.setenv("KHRONIKA_MAX_PROFILE", profile)

    with pytest.raises(SettingsInvalid) as refused:
        load_settings(ApiSettings)

    [said] = [line for line in str(refused.value).splitlines() if "MAX_PROFILE" in line]
    assert "'2160p'" in said
    assert "'240p'" in said


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379/0", "amqp://host//", "valkey://u@host"])
def test_a_broker_without_a_password_stops_the_start_unless_that_is_said(
    working: None, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    monkeypatch.setenv("BROKER_URL", url)
    with pytest.raises(SettingsInvalid, match=r"BROKER_URL: .*has no password"):
        load_settings(ApiSettings)
    monkeypatch.setenv("KHRONIKA_BROKER_OPEN", "true")
    assert load_settings(ApiSettings).broker.broker_open


def test_a_layer_is_waived_by_its_name_only(working: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    monkeypatch.setenv("KHRONIKA_ISOLATION_WAIVE", "network, landlock")
    assert load_settings(ApiSettings).sources.isolation_waive == {"network", "landlock"}
    monkeypatch.setenv("KHRONIKA_ISOLATION_WAIVE", "all")
    with pytest.raises(SettingsInvalid, match="KHRONIKA_ISOLATION_WAIVE"):
        load_settings(ApiSettings)


def test_sources_come_from_the_schemes_own_ports_unless_others_are_named(
    working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    assert load_settings(ApiSettings).sources.fetch_policy.ports == frozenset({443})
    monkeypatch.setenv("KHRONIKA_SOURCE_HTTP", "true")
    assert load_settings(ApiSettings).sources.fetch_policy.ports == frozenset({80, 443})
    monkeypatch.setenv("KHRONIKA_SOURCE_PORTS", "443, 8443")
    assert load_settings(ApiSettings).sources.fetch_policy.ports == frozenset({443, 8443})
    monkeypatch.setenv("KHRONIKA_SOURCE_PORTS", "any")
    assert load_settings(ApiSettings).sources.fetch_policy.ports is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOURCE_PORTS", "443,many"),
        ("SOURCE_PORTS", "0"),
        ("SELFHOSTED_OUTPUT_HOSTS", "https://cdn.example"),
        ("SELFHOSTED_OUTPUT_HOSTS", "*.example"),
        ("SELFHOSTED_WEBHOOK_SOURCES", "somewhere"),
        ("SELFHOSTED_WEBHOOK_SECRETS", "whsec_not base64!"),
        ("SELFHOSTED_WEBHOOK_SECRETS", ",".join(["whsec_b25lLW9uZS1vbmU="] * 3)),
    ],
)
def test_what_would_believe_nobody_or_everybody_stops_the_start(
    working: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    monkeypatch.setenv(f"KHRONIKA_{name}", value)
    with pytest.raises(SettingsInvalid, match=f"KHRONIKA_{name}") as refused:
        load_settings(ApiSettings)
    assert "b25l" not in str(refused.value)


@pytest.mark.usefixtures("working")
def test_credentials_of_the_storage_are_whole_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    assert load_settings(ApiSettings).storage.credentials is None
    monkeypatch.setenv("KHRONIKA_STORAGE_KEY_ID", "id")
    with pytest.raises(SettingsInvalid, match="KHRONIKA_STORAGE_SECRET"):
        load_settings(ApiSettings)
    monkeypatch.setenv("KHRONIKA_STORAGE_SECRET", "hunter2")
    settings = load_settings(ApiSettings)
    assert settings.storage.credentials == Credentials("id", "hunter2")
    assert "hunter2" not in repr(settings)


SECRETS = frozenset(
    {
        "BROKER_URL",
        "KHRONIKA_API_DATABASE_URL",
        "KHRONIKA_CDN_PURGE_SECRET",
        "KHRONIKA_CDN_PURGE_TOKEN",
        "KHRONIKA_JWT_ISSUERS",
        "KHRONIKA_JWT_SECRET",
        "KHRONIKA_JWT_SECRET_PREVIOUS",
        "KHRONIKA_LIMITS_URL",
        "KHRONIKA_METRICS_TOKEN",
        "KHRONIKA_OPERATOR_DATABASE_URL",
        "KHRONIKA_PUBLIC_DATABASE_URL",
        "KHRONIKA_SECRET_KEY",
        "KHRONIKA_SECRET_KEY_PREVIOUS",
        "KHRONIKA_SELFHOSTED_TOKEN",
        "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS",
        "KHRONIKA_STORAGE_SECRET",
        "KHRONIKA_WORKER_DATABASE_URL",
    }
)


def test_every_secret_may_come_in_a_file(
    working: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    monkeypatch.setenv("KHRONIKA_JWT_ISSUERS", json.dumps([BY_SECRET]))
    monkeypatch.setenv("KHRONIKA_METRICS_TOKEN", SECRET)
    monkeypatch.setenv("KHRONIKA_LIMITS_URL", "redis://:secret@127.0.0.1:2/0")
    monkeypatch.setenv("KHRONIKA_SECRET_KEY_PREVIOUS", SECRET)
    monkeypatch.setenv("KHRONIKA_JWT_SECRET_PREVIOUS", SECRET)
    monkeypatch.setenv("KHRONIKA_CDN_PURGE_TOKEN", "hunter3")
    monkeypatch.setenv("KHRONIKA_CDN_PURGE_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    monkeypatch.setenv("KHRONIKA_STORAGE_KEY_ID", "id")
    monkeypatch.setenv("KHRONIKA_STORAGE_SECRET", "hunter2")
    given = load_settings(DoctorSettings)
    for name in SECRETS:
        (tmp_path / name).write_text(os.environ[name] + "\n")
        monkeypatch.delenv(name)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))

    assert load_settings(DoctorSettings) == given
    groups = {*groups_of(DoctorSettings), *account_blocks(AccountListSettings()).values()}
    assert frozenset().union(*map(may_come_in_files, groups)) == SECRETS


def test_every_file_that_holds_no_secret_is_named_at_once_with_what_else_is_wrong(
    working: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", SECRET)
    monkeypatch.setenv("KHRONIKA_JWT_SECRET_FILE", "/dev/null")
    monkeypatch.delenv("BROKER_URL")
    monkeypatch.setenv("BROKER_URL_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("KHRONIKA_JWT_ISSUERS_FILE", str(tmp_path))
    monkeypatch.setenv("KHRONIKA_SOURCE_ALLOW", "everywhere")

    with pytest.raises(SettingsInvalid) as refused:
        load_settings(ApiSettings)

    said = str(refused.value)
    assert "KHRONIKA_JWT_SECRET and KHRONIKA_JWT_SECRET_FILE are both set" in said
    assert "BROKER_URL_FILE names a file that cannot be read" in said
    assert "KHRONIKA_JWT_ISSUERS_FILE names a file that is not a regular file" in said
    assert "KHRONIKA_SOURCE_ALLOW" in said
    assert SECRET not in said
    assert str(tmp_path) not in said
