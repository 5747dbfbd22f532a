"""The start lasts while something moves, and is given up when nothing does."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cli.database_logins import ROLES, login_variable
from tests.integration.stack.conftest import Start
from tests.integration.stack.stack_runs import SERVING, gone

PATIENCE_SEC = 5


@pytest.fixture
def settings(role_urls: Mapping[str, str], broker_url: str) -> Mapping[str, str]:
    """The session's servers: only the processes are awaited with little patience."""
    logins = {login_variable(part): role_urls[part] for part in ROLES}
    return {
        "PORT": "0",
        "DATABASE_URL": role_urls["owner"],
        "BROKER_URL": broker_url,
        **logins,
    }


def web_as(role: str) -> str:
    return SERVING.replace("serve KHRONIKA_WEB_BIND", role)


def test_a_server_that_answers_something_new_is_awaited_beyond_the_patience(
    start: Start, place: Path, settings: Mapping[str, str]
) -> None:
    options = ["--patience", str(PATIENCE_SEC)]
    up = start(place, web_as("warm KHRONIKA_WEB_BIND"), settings, options=options)
    up.wait_until_ready()


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        ("stop", r"last answer: none; process \d+ is stopped; see .*/web\.log"),
        ("refuse KHRONIKA_WEB_BIND", r"last answer: .*/readyz: 503 inf s left; process \d+ is "),
    ],
)
def test_a_process_without_progress_ends_the_start_with_its_name_and_state(
    start: Start, place: Path, settings: Mapping[str, str], role: str, reason: str
) -> None:
    up = start(place, web_as(role), settings, options=["--patience", str(PATIENCE_SEC)])
    family = up.family()
    assert up.ended() == 1
    gave_up = r"gave up waiting for web after \d+ s: no progress for \d+ s; "
    assert re.search(gave_up + reason, up.output), up.output
    assert gone(family)
