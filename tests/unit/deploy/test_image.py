"""The image: built from locks, with no script of another host, for a user without rights."""

import re

import pytest

from stack.home import CHECKOUT
from tests.integration.stack.wheel_installs import SOURCES
from tests.unit.deploy.artefacts import FOLDER, of_kind

TEXT = (FOLDER / "Dockerfile").read_text()
LAST_STAGE = TEXT[TEXT.rindex("\nFROM ") :]
IGNORED = (CHECKOUT / ".dockerignore").read_text().splitlines()


def test_every_base_has_a_whole_version() -> None:
    bases = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert len(bases) == 3
    assert [base for base in bases if not re.search(r":\d+\.\d+\.\d+-", base)] == []


def test_nothing_is_fetched_but_by_a_lock() -> None:
    assert not re.search(r"curl|wget|\| *sh|apt|ADD ", TEXT)
    lines = [line for line in TEXT.splitlines() if "pip install" in line]
    locked = [line for line in lines if "--require-hashes --only-binary :all:" in line]
    own = [line for line in lines if "--no-deps /wheel/" in line]
    assert len(lines) == len(locked) + len(own) == 3
    assert "npm ci --omit=dev --ignore-scripts" in TEXT


def test_it_runs_as_the_user_of_the_manifests_and_says_when_it_is_healthy() -> None:
    [user] = re.findall(r"^USER (.+)$", LAST_STAGE, re.MULTILINE)
    context = of_kind("Deployment")["web"]["spec"]["template"]["spec"]["securityContext"]
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert "HEALTHCHECK" in LAST_STAGE
    assert "/healthz" in LAST_STAGE


def test_its_context_is_what_the_wheel_is_built_from() -> None:
    copied = {
        name
        for names in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)
        for name in names.split()
    }
    allowed = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    assert IGNORED[1] == "*"
    assert allowed == {*SOURCES, "bootstrap.lock", "requirements.production.lock"}
    assert {name.split("/")[0] for name in copied} == allowed
    assert [name for name in copied if not (CHECKOUT / name).exists()] == []


@pytest.mark.parametrize("secret", [".khronika", ".git", "deploy", ".env"])
def test_no_state_of_a_checkout_is_in_the_context(secret: str) -> None:
    assert f"!{secret}" not in IGNORED
