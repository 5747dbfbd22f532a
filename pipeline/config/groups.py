"""Groups of settings, and the reader of all the groups that a process needs.

A group is a class of settings that the same functions read. A process names its groups in one
dataclass (`pipeline.process_settings`), and reads them once.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from os import environ
from typing import Any, ClassVar, Self, TypeVar, cast, get_args, get_type_hints

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from pipeline.runtime.deployment import REFUSED, DeploymentFields
from pipeline.runtime.filed_settings import (
    FiledSettings,
    SettingsInvalid,
    problems_of,
    variables_of,
)
from pipeline.runtime.redaction import secrets_of
from pipeline.runtime.secret_files import SUFFIX
from pipeline.runtime.unsafe_settings import UNREAD, refusals

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


class NamedGroups(ABC):
    """Groups whose names the environment lists, such as one for each provider account."""

    LIST: ClassVar[type[SettingsGroup]]
    """The group that lists them."""

    @classmethod
    @abstractmethod
    def read(cls, listed: SettingsGroup) -> Self:
        """Read the groups that are listed.

        Raises:
            SettingsInvalid: Names every variable that is missing or wrong, and never its value.
        """

    @abstractmethod
    def groups(self) -> Iterable[SettingsGroup]:
        """Return the groups that were read."""


def load_settings(
    process: type[ProcessSettings], surroundings: Mapping[str, str] | None = None
) -> ProcessSettings:
    """Read the groups of a process from the environment.

    Args:
        process: A dataclass. Each field is a group, an optional group or another such dataclass; an
            optional group is None where the environment has none of its variables.
        surroundings: Variables that are no settings, and are unsafe for this process.

    Raises:
        SettingsInvalid: Names every variable that is missing, wrong, or unsafe in production, and
            never its value.
    """
    read: dict[type, object] = {}
    problems: list[str] = []
    for group, required in groups_of(process).items():
        try:
            read[group] = group() if required or _is_present(group) else None
        except ValidationError as error:
            problems += problems_of(group, error)
    for named in _named_in(process):
        try:
            if named.LIST in read:
                read[named] = named.read(cast("SettingsGroup", read[named.LIST]))
        except SettingsInvalid as error:
            problems += error.problems
    problems += _unsafe_in(read.values(), surroundings)
    if problems:
        raise SettingsInvalid(problems)
    return _compose(process, read)


def load_or_exit(process: type[ProcessSettings], name: str) -> ProcessSettings:
    """Read the settings of a process that serves, or end the process without a trace.

    Args:
        process: See `load_settings`.
        name: The process, for the operator.

    Raises:
        SystemExit: The settings are wrong or unsafe; all problems have been printed.
    """
    try:
        return load_settings(process, {each: environ[each] for each in UNREAD if each in environ})
    except SettingsInvalid as error:
        print(f"khronika {name}: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(REFUSED) from None


def _unsafe_in(read: Iterable[object], surroundings: Mapping[str, str] | None) -> list[str]:
    """Return a line about each unsafe setting, unless development is declared."""
    groups = list(_groups_among(read))
    deployment: DeploymentFields | None = None
    for group in groups:
        if isinstance(group, DeploymentFields):
            deployment = group
    return refusals(groups, deployment, surroundings)


def _groups_among(parts: Iterable[object]) -> Iterator[SettingsGroup]:
    for part in parts:
        if isinstance(part, SettingsGroup):
            yield part
        elif isinstance(part, NamedGroups):
            yield from part.groups()


def groups_of(process: type) -> Mapping[type[SettingsGroup], bool]:
    """Return the groups of a process; True for each one that it cannot start without."""
    found: dict[type[SettingsGroup], bool] = {}
    for hint in get_type_hints(process).values():
        part = _class_of(hint)
        inner = _groups_of_part(part, required=part is hint)
        for group, required in inner.items():
            found[group] = found.get(group, False) or required
    return found


def _groups_of_part(part: type, *, required: bool) -> Mapping[type[SettingsGroup], bool]:
    if issubclass(part, SettingsGroup):
        return {part: required}
    return {part.LIST: True} if issubclass(part, NamedGroups) else groups_of(part)


def _named_in(process: type) -> Iterator[type[NamedGroups]]:
    for part in map(_class_of, get_type_hints(process).values()):
        if issubclass(part, NamedGroups):
            yield part
        elif not issubclass(part, SettingsGroup):
            yield from _named_in(part)


def groups_in(settings: object) -> Iterator[SettingsGroup]:
    """Yield the groups that a process has read."""
    for field in fields(cast("Any", settings)):
        part = getattr(settings, field.name)
        if isinstance(part, SettingsGroup | NamedGroups):
            yield from _groups_among([part])
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
