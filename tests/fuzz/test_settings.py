from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings import Settings, SettingsInvalid, load_settings
from tests.fuzz.mutations import HOSTILE_TEXT

SECRET = "s3cret-" + "k" * 40
WORKING = {
    "BROKER_URL": "redis://user:password@127.0.0.1:1/0",
    "STORAGE_URL": "file:///tmp/khronika",
    "KHRONIKA_API_DATABASE_URL": "postgresql://a@127.0.0.1/khronika",
    "KHRONIKA_WORKER_DATABASE_URL": "postgresql://b@127.0.0.1/khronika",
    "KHRONIKA_OPERATOR_DATABASE_URL": "postgresql://c@127.0.0.1/khronika",
    "KHRONIKA_PUBLIC_DATABASE_URL": "postgresql://d@127.0.0.1/khronika",
    "KHRONIKA_JWT_SECRET": SECRET,
    "KHRONIKA_SECRET_KEY": SECRET,
    "KHRONIKA_SELFHOSTED_URL": "http://127.0.0.1:1",
    "KHRONIKA_SELFHOSTED_TOKEN": SECRET,
    "KHRONIKA_SELFHOSTED_WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def variable(name: str, field: Any) -> str:
    return str(field.validation_alias or f"KHRONIKA_{name.upper()}")


VARIABLES = sorted(variable(name, field) for name, field in Settings.model_fields.items())
# What an environment can hold: no NUL, and nothing that the file system's encoding cannot say.
VALUES = (HOSTILE_TEXT | st.text(max_size=30) | st.just("{}") | st.just("[1, null]")).filter(
    lambda text: "\0" not in text and text.isprintable()
)


def read(environment: dict[str, str]) -> Settings | SettingsInvalid:
    with mock.patch.dict("os.environ", environment, clear=True):
        try:
            return load_settings()
        except SettingsInvalid as invalid:
            return invalid


def test_the_example_works() -> None:
    assert isinstance(read(WORKING), Settings)


@given(st.dictionaries(st.sampled_from(VARIABLES), VALUES, min_size=1, max_size=6))
def test_any_environment_is_read_or_refused_by_name_without_its_values(
    wrong: dict[str, str],
) -> None:
    found = read(WORKING | wrong)
    if isinstance(found, SettingsInvalid):
        assert any(name in str(found) for name in wrong)
        assert SECRET not in str(found)
    else:
        assert SECRET not in repr(found)


@given(st.sampled_from(sorted(WORKING)))
def test_what_is_missing_is_named(name: str) -> None:
    found = read({kept: value for kept, value in WORKING.items() if kept != name})
    assert isinstance(found, Settings) or name in str(found)
