from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from cli.main import app

OWN_MEANING = {"--owner", "--yes"}
"""A caller acts as an owner, a token is issued to one, a key belongs to one or to none. Without
``--yes`` a deletion asks, and a write-off changes nothing."""


def commands(group: TyperGroup) -> Iterator[TyperCommand]:
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            yield from commands(command)
        else:
            assert isinstance(command, TyperCommand)
            yield command


@pytest.fixture
def root() -> TyperGroup:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    return root


def test_an_option_of_several_commands_has_one_help_text_and_one_default(root: TyperGroup) -> None:
    meanings = defaultdict[str, set[tuple[Any, Any]]](set)
    for command in commands(root):
        for option in command.params:
            if isinstance(option, TyperOption):
                meanings[option.opts[0]].add((option.help, option.default))

    assert {"--json", "--url", "--token", "--owner", "--dry-run"} <= meanings.keys()
    assert {name for name, found in meanings.items() if len(found) > 1} == OWN_MEANING


def test_every_option_and_argument_is_explained(root: TyperGroup) -> None:
    for command in commands(root):
        assert command.help
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{command.name} {parameter.name}"


def test_every_command_has_the_options_it_is_wrapped_with(root: TyperGroup) -> None:
    for command in commands(root):
        assert "as_json" in {parameter.name for parameter in command.params}, command.name
