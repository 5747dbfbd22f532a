import pytest

from pipeline.settings import SettingsInvalid, load_settings


def test_every_wrong_variable_is_named_at_once_and_no_value_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "many")
    monkeypatch.setenv("KHRONIKA_JWT_SECRET", "short-and-secret")
    monkeypatch.setenv("KHRONIKA_SOURCE_ALLOW", "everywhere")
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with pytest.raises(SettingsInvalid) as refused:
        load_settings()

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
