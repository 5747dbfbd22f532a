"""The example environments of docs/deploy, on loopback, in production, as they are."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from stack.process_variables import ROOTS, environment_of
from tests.conditions import wait_until
from tests.integration.stack.procfile_runs import (
    COMMANDS,
    START_SEC,
    StartProcess,
    has_started,
)
from tests.integration.stack.production_examples import example_of, variables_in


def sharing(name: str) -> list[str]:
    """The processes with the same example."""
    return [each for each in ROOTS if example_of(each) == example_of(name)]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_has_the_variables_of_its_process_and_no_others(name: str) -> None:
    variables = {each.removesuffix("_FILE") for each in variables_in(example_of(name))}
    given = dict.fromkeys(variables, "1") | {"KHRONIKA_ACCOUNTS": "selfhosted"}
    declared = set[str]().union(
        *(environment_of(each, COMMANDS[each], given) for each in sharing(name))
    )
    assert variables <= declared


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_starts_in_production_with_the_example(
    production: Callable[[str], dict[str, str]],
    start_process: StartProcess,
    tmp_path: Path,
    name: str,
) -> None:
    given = production(name)
    assert given["KHRONIKA_ENV"] == "production"
    process = start_process(name, given)
    log = tmp_path / "log"
    wait_until(lambda: has_started(name, process, given, log), f"{name} has started")


UNSAFE: Mapping[str, Mapping[str, str]] = {
    "web": {
        "KHRONIKA_SOURCE_ALLOW": "http://127.0.0.1:*",
        "KHRONIKA_LIMIT_CREATE": "100000/minute",
        "KHRONIKA_CORS_ORIGINS": "*",
        "DATABASE_URL": "postgresql://owner@127.0.0.1/khronika",
        "FLASK_DEBUG": "1",
    },
    **{
        name: {
            "KHRONIKA_SOURCE_PORTS": "any",
            "KHRONIKA_OWNER_MAX_LIVE": "1000000",
            "DATABASE_URL": "postgresql://owner@127.0.0.1/khronika",
        }
        for name in ("submitter", "worker")
    },
    "beat": {"KHRONIKA_PUBLIC_URL": "http://video.site.example", "KHRONIKA_LOG_LEVEL": "DEBUG"},
    "flower": {"KHRONIKA_LOG_LEVEL": "DEBUG", "KHRONIKA_BROKER_OPEN": "true"},
    **{
        name: {
            "KHRONIKA_SOURCE_ALLOW": "http://127.0.0.1:*",
            "KHRONIKA_TRANSCODER_SOURCE_MIN_BPS": "0",
            "DATABASE_URL": "postgresql://owner@127.0.0.1/khronika",
        }
        for name in ("transcoder", "transcoder-worker")
    },
    "transcoder-beat": {
        "KHRONIKA_BROKER_OPEN": "true",
        "DATABASE_URL": "postgresql://owner@127.0.0.1/khronika",
    },
}


@pytest.mark.parametrize("name", COMMANDS)
def test_unsafe_settings_refuse_the_start_and_all_are_named_without_a_trace(
    production: Callable[[str], dict[str, str]],
    start_process: StartProcess,
    tmp_path: Path,
    name: str,
) -> None:
    process = start_process(name, {**production(name), **UNSAFE[name]})

    assert process.wait(START_SEC) not in (0, -9)
    written = (tmp_path / "log").read_text()
    assert [variable for variable in UNSAFE[name] if f"{variable}: " not in written] == []
    assert "Traceback" not in written
    assert "KHRONIKA_ACCEPT_RISK=" in written


@pytest.mark.parametrize(
    ("option", "risk"),
    [
        ("--address=0.0.0.0", "open_flower"),
        ("--address=", "open_flower"),
        ("--address=127.0.0.1 --basic-auth=admin:admin", "open_flower"),
        ("--address=127.0.0.1 --debug", "debug"),
    ],
)
def test_flower_refuses_to_be_open_and_names_the_option(
    production: Callable[[str], dict[str, str]],
    start_process: StartProcess,
    tmp_path: Path,
    option: str,
    risk: str,
) -> None:
    given = production("flower")
    own = '--address="${KHRONIKA_FLOWER_ADDRESS:-127.0.0.1}"'
    assert own in COMMANDS["flower"]
    line = COMMANDS["flower"].replace(own, option)
    process = start_process("flower", given, line=line)
    assert process.wait(START_SEC) not in (0, -9)
    written = (tmp_path / "log").read_text()
    assert f"KHRONIKA_ACCEPT_RISK={risk} " in written
    assert "Traceback" not in written
