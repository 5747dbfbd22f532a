"""Settings from the environment, with secrets from files."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from pipeline.runtime.secret_files import SUFFIX, SecretUnreadable, read_secret


class SettingsInvalid(Exception):
    """The environment does not describe a working system; the message names each wrong variable.

    Attributes:
        problems: A line about each variable that is missing or wrong.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n  ".join(["the settings are wrong:", *self.problems]))


Read = TypeVar("Read", bound=BaseSettings)


def read_settings(settings: type[Read]) -> Read:
    """Read the environment.

    Raises:
        SettingsInvalid: Names every variable that is missing or wrong, never its value.
    """
    try:
        return settings()
    except ValidationError as error:
        raise SettingsInvalid(problems_of(settings, error)) from None


def problems_of(settings: type[BaseSettings], error: ValidationError) -> list[str]:
    """Return a line about each variable that is missing or wrong, without its value."""
    prefix = settings.model_config.get("env_prefix", "")
    return [f"{_location(prefix, found['loc'])}{found['msg']}" for found in error.errors()]


def _location(prefix: str, location: tuple[int | str, ...]) -> str:
    """Name the variable and the place inside it; nothing for an error of several variables."""
    if not location:
        return ""
    name, *inside = map(str, location)
    variable = name if name.isupper() else prefix + name.upper()
    return ".".join([variable, *inside]) + ": "


class FiledSettings(BaseSettings):
    """Settings whose secrets may be in files: ``NAME_FILE`` names the file of a `SecretStr`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in the order of their precedence."""
        return init_settings, _SecretFiles(settings_cls), env_settings

    @field_validator("*", mode="before")
    @classmethod
    def _readable(cls, value: object) -> object:
        if isinstance(value, SecretUnreadable):
            raise value
        return value


class _SecretFiles(PydanticBaseSettingsSource):
    """Source of the secrets in files. The value of an unreadable secret is its error.

    The validation raises that error, so that it is listed with the other wrong settings.
    """

    def __call__(self) -> dict[str, Any]:
        found = (
            self.get_field_value(field, name)
            for name, field in self.settings_cls.model_fields.items()
            if _may_hold_secret(field.annotation)
        )
        return {key: value for value, key, _ in found if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        # The names of variables match in any case, as pydantic's own.
        env = {name.upper(): value for name, value in os.environ.items()}
        variable = _variable(self.settings_cls, field, field_name)
        key = str(field.validation_alias or field_name)
        if not env.get(variable + SUFFIX):
            return None, key, False
        try:
            return read_secret(env, variable), key, False
        except SecretUnreadable as error:
            return error, key, False


def variables_of(settings: type[BaseSettings]) -> Mapping[str, FieldInfo]:
    """Return the field of each variable that the settings read."""
    fields = settings.model_fields.items()
    return {_variable(settings, field, name): field for name, field in fields}


@dataclass(frozen=True)
class SettingValue:
    """One setting of a process.

    Attributes:
        variable: Its environment variable.
        value: The value that the process uses.
        default: The value that it has if the variable is unset.
        is_set: True if the environment or a file has it.
    """

    variable: str
    value: Any
    default: Any
    is_set: bool


def values_of(settings: BaseSettings) -> Iterator[SettingValue]:
    """Yield the settings that were read."""
    for name, field in type(settings).model_fields.items():
        yield SettingValue(
            variable=_variable(type(settings), field, name),
            value=getattr(settings, name),
            default=field.default,
            is_set=name in settings.model_fields_set,
        )


def may_come_in_files(settings: type[FiledSettings]) -> frozenset[str]:
    """Return the variables in whose place a file may be named."""
    fields = variables_of(settings).items()
    return frozenset(name for name, field in fields if _may_hold_secret(field.annotation))


def _variable(settings: type[BaseSettings], field: FieldInfo, name: str) -> str:
    prefix = settings.model_config.get("env_prefix", "")
    return str(field.validation_alias or f"{prefix}{name}").upper()


def _may_hold_secret(kind: Any) -> bool:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return any(_may_hold_secret(field.annotation) for field in kind.model_fields.values())
    return kind is SecretStr or any(map(_may_hold_secret, get_args(kind)))
