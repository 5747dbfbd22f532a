"""The variables of each process of a stack: the process gets those that it declares, no others."""

import re
from collections.abc import Container, Mapping

from pydantic_settings import BaseSettings

from pipeline.config.account_settings import AccountListSettings, FirstSecretSettings
from pipeline.config.groups import groups_of
from pipeline.config.server_settings import ApiLogin, StorageSettings, WorkerLogin
from pipeline.config.work_settings import CallbackSecretSettings
from pipeline.process_settings import ApiSettings, BeatSettings, FlowerSettings, WorkerSettings
from pipeline.providers.accounts import account_blocks, settings_class
from pipeline.runtime.filed_settings import variables_of
from transcoder.settings import TranscoderBeatSettings, TranscoderSettings

UNPREFIXED = frozenset({"PORT", "DATABASE_URL", "BROKER_URL", "STORAGE_URL"})
"""Our variables that do not begin with ``KHRONIKA_``."""

ROOTS: Mapping[str, type] = {
    "web": ApiSettings,
    "submitter": WorkerSettings,
    "worker": WorkerSettings,
    "beat": BeatSettings,
    "flower": FlowerSettings,
    "transcoder": TranscoderSettings,
    "transcoder-worker": TranscoderSettings,
    "transcoder-beat": TranscoderBeatSettings,
}
"""The settings of each process of the Procfile."""

ENVIRONMENT = "KHRONIKA_ENV"
"""The variable of the kind of deployment, which every process reads."""

PREFIXES: Mapping[str, str] = {"site": "KHRONIKA_SITE_"}
"""The beginning of every variable of a process that is no part of the product."""

CREDENTIALS: Mapping[str, frozenset[type]] = {
    "AWS_": frozenset({StorageSettings, AccountListSettings, TranscoderSettings}),
    "PG": frozenset({ApiLogin, WorkerLogin, TranscoderSettings}),
}
"""The beginning of variables that a library reads credentials from, and the groups of the processes
that use it."""

FLOWER = ("flower", "FLOWER_")
"""A process, and the beginning of variables that it alone reads."""

_MENTIONED = re.compile(r"\b[A-Z][A-Z0-9_]+\b")


def environment_of(name: str, line: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of one process.

    It has our variables that the process's settings read or that its command line mentions, and
    credentials of a library if it uses the library. The rest of the caller's environment, such as
    PATH, is passed on.

    Args:
        name: The name in the Procfile.
        line: The command line there.
        environment: The environment of the whole stack.
    """
    groups = groups_read_by(ROOTS[name]) if name in ROOTS else {}
    declared = {variable for group in groups for variable in variables_of(group)}
    if AccountListSettings in groups:
        declared |= _account_variables(environment, verifies=CallbackSecretSettings in groups)
    declared |= set(_MENTIONED.findall(line))
    prefix = PREFIXES.get(name)
    declared |= {ENVIRONMENT} if prefix else set()
    return {
        variable: value
        for variable, value in environment.items()
        if (not is_ours(variable) and _is_for(name, groups, variable))
        or variable in declared
        or (prefix is not None and variable.startswith(prefix))
    }


def _is_for(name: str, groups: Container[type], variable: str) -> bool:
    """Return True for a variable of the caller's that holds no other process's credentials."""
    if variable.startswith(FLOWER[1]):
        return name == FLOWER[0]
    for beginning, users in CREDENTIALS.items():
        if variable.startswith(beginning):
            return any(user in groups for user in users)
    return True


def _account_variables(environment: Mapping[str, str], *, verifies: bool) -> set[str]:
    """Return the variables of every account.

    Args:
        verifies: The process verifies callbacks, and so needs the first secrets.
    """
    listed = accounts_listed(environment)
    found = {
        variable for block in account_blocks(listed).values() for variable in variables_of(block)
    }
    secrets = {
        variable
        for name in listed.names
        for variable in variables_of(settings_class(name, FirstSecretSettings))
    }
    return found if verifies else found - secrets


def accounts_listed(environment: Mapping[str, str]) -> AccountListSettings:
    """Return the provider accounts that an environment lists."""
    given = environment.get("KHRONIKA_ACCOUNTS")
    return AccountListSettings.model_validate({"accounts": given} if given else {})


def groups_read_by(root: type) -> Mapping[type[BaseSettings], bool]:
    """Return the groups of a process; True for each one that it cannot start without."""
    if issubclass(root, BaseSettings):
        return {root: True}
    return dict(groups_of(root).items())


def is_ours(variable: str) -> bool:
    """Return True for a variable that describes a stack."""
    return variable in UNPREFIXED or variable.startswith("KHRONIKA_")
