import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_settings import BaseSettings

import transcoder.settings
from pipeline.config.groups import groups_of, load_settings
from pipeline.process_settings import (
    ApiSettings,
    DoctorSettings,
    OperatorSettings,
    WorkerSettings,
)
from pipeline.runtime.filed_settings import SettingsInvalid, variables_of
from tests.fuzz.mutations import HOSTILE_TEXT
from transcoder.settings import TranscoderSettings

SECRET = "s3cret-" + "k" * 40
OF_THE_PIPELINE = {
    "KHRONIKA_ENV": "development",
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

OF_THE_TRANSCODER = {
    "KHRONIKA_ENV": "development",
    "BROKER_URL": "redis://user:password@127.0.0.1:1/0",
    "KHRONIKA_TRANSCODER_DATABASE_URL": "postgresql://a@127.0.0.1/khronika",
    "KHRONIKA_TRANSCODER_TOKEN": SECRET,
    "KHRONIKA_TRANSCODER_CALLBACK_URL": "http://127.0.0.1:1",
    "KHRONIKA_TRANSCODER_CALLBACK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "KHRONIKA_TRANSCODER_STORAGES": '{"default": "file:///tmp"}',
    "KHRONIKA_TRANSCODER_SCRATCH": "/tmp/scratch",
}


@dataclass(frozen=True)
class Reader:
    """One process's settings: an environment that works, and the function that reads it."""

    working: Mapping[str, str]
    settings: type
    groups: Collection[type[BaseSettings]]
    load: Callable[[], object]

    @property
    def variables(self) -> list[str]:
        """Every variable there is."""
        return sorted({name for group in self.groups for name in variables_of(group)})

    def read(self, environment: Mapping[str, str]) -> object:
        """Return the settings of an environment, or their refusal."""
        with mock.patch.dict("os.environ", environment, clear=True):
            try:
                return self.load()
            except SettingsInvalid as invalid:
                return invalid


PROCESSES = (ApiSettings, WorkerSettings, OperatorSettings, DoctorSettings)
READERS = [
    *(
        Reader(OF_THE_PIPELINE, each, groups_of(each), partial(load_settings, each))
        for each in PROCESSES
    ),
    Reader(
        OF_THE_TRANSCODER,
        TranscoderSettings,
        [TranscoderSettings],
        transcoder.settings.load_settings,
    ),
]
DOCUMENTS = st.sampled_from(
    (
        *("{}", "[1, null]", "[[]]", '"text"', "[{}]", '{"default": 1}', '{"default": null}'),
        *("[" * 2000, '{"default": ' * 2000, '{"default": ' + "[" * 2000 + "]" * 2000 + "}"),
    )
) | HOSTILE_TEXT.map(lambda text: json.dumps({"default": text}))
# What an environment can hold: no NUL, and nothing that the file system's encoding cannot say.
VALUES = (HOSTILE_TEXT | st.text(max_size=30) | DOCUMENTS).filter(
    lambda text: "\0" not in text and text.isprintable()
)


def strange_environments(
    reader: Reader,
) -> st.SearchStrategy[tuple[Reader, Mapping[str, str]]]:
    """The reader, and a few of its variables said anew."""
    names = st.sampled_from(reader.variables)
    return st.tuples(st.just(reader), st.dictionaries(names, VALUES, min_size=1, max_size=6))


each_reader = pytest.mark.parametrize(
    "reader", READERS, ids=[each.settings.__name__ for each in READERS]
)


@each_reader
def test_the_example_works(reader: Reader) -> None:
    assert isinstance(reader.read(reader.working), reader.settings)


@given(st.one_of(*map(strange_environments, READERS)))
@example((READERS[-1], {"KHRONIKA_TRANSCODER_STORAGES": "[" * 2000}))
def test_any_environment_is_read_or_refused_by_name_without_its_values(
    environment: tuple[Reader, Mapping[str, str]],
) -> None:
    reader, wrong = environment
    found = reader.read({**reader.working, **wrong})
    if isinstance(found, SettingsInvalid):
        assert any(name in str(found) for name in wrong)
        assert SECRET not in str(found)
    else:
        assert SECRET not in repr(found)


@each_reader
def test_what_is_missing_is_named(reader: Reader) -> None:
    for name in reader.working:
        found = reader.read({kept: said for kept, said in reader.working.items() if kept != name})
        assert isinstance(found, reader.settings) or name in str(found)
