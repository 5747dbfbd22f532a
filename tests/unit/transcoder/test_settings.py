import json
import os
from pathlib import Path
from tempfile import gettempdir

import pytest

from pipeline.net.origins import WebOrigin
from pipeline.runtime.filed_settings import SettingsInvalid, may_come_in_files
from pipeline.storage.urls import Credentials
from transcoder.settings import PREFIX, TranscoderSettings, load_settings

SECRETS = ["whsec_b25lLW9uZS1vbmU=", "whsec_dHdvLXR3by10d28="]

GOOD = {
    "BROKER_URL": "redis://:secret@localhost",
    f"{PREFIX}DATABASE_URL": "postgresql://localhost/khronika",
    f"{PREFIX}TOKEN": "a-token-of-some-length",
    f"{PREFIX}CALLBACK_URL": "http://127.0.0.1:8080/callback",
    f"{PREFIX}CALLBACK_SECRETS": ", ".join(SECRETS),
    f"{PREFIX}STORAGES": json.dumps({"default": f"file://{gettempdir()}"}),
    f"{PREFIX}SCRATCH": "/var/tmp/transcoder",
}


def load(monkeypatch: pytest.MonkeyPatch, **changes: str) -> TranscoderSettings:
    for name, value in (GOOD | {PREFIX + name: value for name, value in changes.items()}).items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHRONIKA_SOURCE_ALLOW", "http://10.0.0.5:8080, https://[::1]")
    settings = load(monkeypatch, OWN_ORIGINS="http://10.0.0.6, https://api.internal:8443")
    assert [s.get_secret_value() for s in settings.callback_secrets] == SECRETS
    assert [str(origin) for origin in settings.source_allow] == [
        "http://10.0.0.5:8080",
        "https://[::1]:443",
    ]
    api, bucket = WebOrigin("https", "api.internal", 8443), WebOrigin("http", "10.0.0.6", 80)
    assert settings.fetch_policy.own == {api, bucket}


def test_sources_come_from_the_schemes_own_ports_unless_others_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load(monkeypatch).fetch_policy.ports == frozenset({443})
    monkeypatch.setenv("KHRONIKA_SOURCE_HTTP", "true")
    assert load(monkeypatch).fetch_policy.ports == frozenset({80, 443})
    assert not load(monkeypatch).fetch_policy.https_only
    monkeypatch.setenv("KHRONIKA_SOURCE_PORTS", "443, 8080")
    assert load(monkeypatch).fetch_policy.ports == frozenset({443, 8080})
    monkeypatch.setenv("KHRONIKA_SOURCE_PORTS", "any")
    assert load(monkeypatch).fetch_policy.ports is None


@pytest.mark.parametrize("variable", ["KHRONIKA_SOURCE_ALLOW", f"{PREFIX}OWN_ORIGINS"])
@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.0.0.5", "http://*:8080", "http://10.0.0.5/a"])
def test_an_allowance_that_is_no_origin_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsInvalid, match=variable):
        load(monkeypatch)


def test_our_own_origin_is_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match="OWN_ORIGINS"):
        load(monkeypatch, OWN_ORIGINS="http://10.0.0.5:*")


def test_how_large_a_source_may_be_is_said_by_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = load(monkeypatch, MAX_BYTES="5", MAX_DURATION_SEC="6", MAX_FRAMES="7").limits
    assert (limits.max_bytes, limits.max_duration_sec, limits.max_frames) == (5, 6, 7)


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid) as problem:
        load(
            monkeypatch,
            STALL_SEC="-1",
            MAX_PROFILE="999p",
            STORAGES="{",
            CALLBACK_URL="nowhere",
            OWN_ORIGINS="everywhere",
            TOKEN="short",
        )
    for name in ("STALL_SEC", "MAX_PROFILE", "STORAGES", "CALLBACK_URL", "TOKEN"):
        assert f"{PREFIX}{name}: " in str(problem.value)
    assert f"{PREFIX}OWN_ORIGINS.0" in str(problem.value)


@pytest.mark.parametrize("text", ["{", "[" * 2000, '{"default":' * 2000], ids=lambda text: text[:1])
def test_what_is_no_document_of_storages_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with pytest.raises(SettingsInvalid, match=f"{PREFIX}STORAGES: .*is not a JSON object"):
        load(monkeypatch, STORAGES=text)


@pytest.mark.parametrize("url", ["s3://", "relative", "file:///dev/null/folder"])
def test_a_storage_that_cannot_be_opened_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(SettingsInvalid, match=f"{PREFIX}STORAGES: .*default: "):
        load(monkeypatch, STORAGES=json.dumps({"default": url}))


def test_half_of_the_credentials_of_a_storage_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsInvalid, match=f"{PREFIX}STORAGE_SECRET: .*both or neither"):
        load(monkeypatch, STORAGE_KEY_ID="id")
    credentials = load(monkeypatch, STORAGE_KEY_ID="id", STORAGE_SECRET="s").storage_credentials
    assert credentials == Credentials("id", "s")


def test_a_secret_that_cannot_sign_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match=f"{PREFIX}CALLBACK_SECRETS:"):
        load(monkeypatch, CALLBACK_SECRETS="whsec_not base64!")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, STALL_SEC="").stall_sec == 120


def test_every_missing_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsInvalid) as problem:
        load_settings()
    for name in GOOD:
        assert f"{name}:" in str(problem.value)


def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid) as problem:
        load(monkeypatch, TOKEN="s3cret")
    assert "s3cret" not in str(problem.value)


def test_a_broker_without_a_password_stops_the_start_unless_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load(monkeypatch)
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1:6379/0")
    with pytest.raises(SettingsInvalid, match=r"BROKER_URL: .*has no password"):
        load_settings()
    monkeypatch.setenv("KHRONIKA_BROKER_OPEN", "true")
    assert load_settings().broker_open


def test_a_layer_is_waived_by_its_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHRONIKA_ISOLATION_WAIVE", "network, landlock")
    assert load(monkeypatch).isolation_waive == {"network", "landlock"}
    monkeypatch.setenv("KHRONIKA_ISOLATION_WAIVE", "all")
    with pytest.raises(SettingsInvalid, match="KHRONIKA_ISOLATION_WAIVE"):
        load_settings()


def test_every_secret_may_come_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = {"STORAGE_KEY_ID": "id", "STORAGE_SECRET": "hunter2", "TOKEN_PREVIOUS": "old" * 8}
    changed["METRICS_TOKEN"] = "seen" * 8
    given = load(monkeypatch, **changed)
    ours = ("DATABASE_URL", "TOKEN", "TOKEN_PREVIOUS", "CALLBACK_SECRETS", "STORAGE_SECRET")
    secrets = {"BROKER_URL", *(PREFIX + name for name in (*ours, "METRICS_TOKEN"))}
    for name in secrets:
        (tmp_path / name).write_text(os.environ[name] + "\n")
        monkeypatch.delenv(name)
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))

    assert load_settings() == given
    assert may_come_in_files(TranscoderSettings) == secrets


def test_every_file_that_holds_no_secret_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(f"{PREFIX}CALLBACK_SECRETS_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv(f"{PREFIX}TOKEN_FILE", str(tmp_path))

    with pytest.raises(SettingsInvalid) as refused:
        load(monkeypatch, CALLBACK_SECRETS="")

    said = str(refused.value)
    assert f"{PREFIX}CALLBACK_SECRETS_FILE names a file that cannot be read" in said
    assert f"{PREFIX}TOKEN and {PREFIX}TOKEN_FILE are both set" in said
    assert GOOD[f"{PREFIX}TOKEN"] not in said
    assert str(tmp_path) not in said
