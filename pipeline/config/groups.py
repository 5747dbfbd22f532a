"""Groups of settings, and the reader of all the groups that a process needs.

A group is a class of settings that the same functions read. A process names its groups in one
dataclass (`pipeline.config.process_settings`), and reads them once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from os import environ
from typing import Any, TypeVar, cast, get_args, get_type_hints

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from pipeline.runtime.filed_settings import FiledSettings, invalid, problems_of, variables_of
from pipeline.runtime.redaction import secrets_of
from pipeline.runtime.secret_files import SUFFIX

ProcessSettings = TypeVar("ProcessSettings")


class SettingsGroup(FiledSettings):
    """Settings from ``KHRONIKA_*``, but for the four that platforms set: PORT and three *_URL.

    Each secret may come in a file that ``NAME_FILE`` names.
    """

    model_config = SettingsConfigDict(
        env_prefix="KHRONIKA_",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        defer_build=True,  # a process builds the validators of its own groups only
    )


def load_settings(process: type[ProcessSettings]) -> ProcessSettings:
    """Read the groups of a process from the environment.

    Args:
        process: A dataclass. Each field is a group, an optional group or another such dataclass; an
            optional group is None where the environment has none of its variables.

    Raises:
        SettingsInvalid: Names every variable that is missing or wrong, and never its value.
    """
    read: dict[type, SettingsGroup | None] = {}
    problems: list[str] = []
    for group, required in groups_of(process).items():
        try:
            read[group] = group() if required or _is_present(group) else None
        except ValidationError as error:
            problems += problems_of(group, error)
    if problems:
        raise invalid(problems)
    return _compose(process, read)


def groups_of(process: type) -> Mapping[type[SettingsGroup], bool]:
    """Return the groups of a process; True for each one that it cannot start without."""
    found: dict[type[SettingsGroup], bool] = {}
    for hint in get_type_hints(process).values():
        part = _class_of(hint)
        is_group = issubclass(part, SettingsGroup)
        inner = {part: part is hint} if is_group else groups_of(part)
        for group, required in inner.items():
            found[group] = found.get(group, False) or required
    return found


def groups_in(settings: object) -> Iterator[SettingsGroup]:
    """Yield the groups that a process has read."""
    for field in fields(cast("Any", settings)):
        part = getattr(settings, field.name)
        if isinstance(part, SettingsGroup):
            yield part
        elif part is not None:
            yield from groups_in(part)


def secrets_in(settings: object) -> list[str]:
    """Return the secrets among the settings of a process, for the log to redact."""
    return [secret for group in groups_in(settings) for secret in secrets_of(group)]


def _compose(process: type[ProcessSettings], read: Mapping[type, object]) -> ProcessSettings:
    parts = {name: _class_of(hint) for name, hint in get_type_hints(process).items()}
    return process(
        **{
            name: read[part] if part in read else _compose(part, read)
            for name, part in parts.items()
        }
    )


def _class_of(hint: Any) -> type:
    """Return the class of a field, the first one of ``Group | None``."""
    return cast("type", (*get_args(hint), hint)[0])


def _is_present(group: type[SettingsGroup]) -> bool:
    names = {name for variable in variables_of(group) for name in (variable, variable + SUFFIX)}
    return any(value and name.upper() in names for name, value in environ.items())
