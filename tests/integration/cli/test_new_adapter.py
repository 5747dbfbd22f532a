"""The skeleton of an adapter: it is linted, opens, and says what is missing."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.domain.errors import TerminalProviderError
from pipeline.domain.values import CallbackEnvelope, JobRef
from pipeline.net.signatures import SignatureRejected
from pipeline.providers import adapters
from pipeline.providers.base import CallbackUnreadable, Opening, Provider
from pipeline.providers.registry import adapter_named, adapter_names
from tests.integration.cli.conftest import khronika, khronika_process
from tests.vendors.accounts import fakes, request_of

NOTHING: Mapping[str, str] = {}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules are adapters too."""
    monkeypatch.setattr(adapters, "__path__", [*adapters.__path__, str(tmp_path)])
    yield tmp_path
    sys.modules.pop(f"{adapters.__name__}.example_video", None)


def made(folder: Path) -> Path:
    path = folder / "example_video.py"
    ran = khronika("providers", "new", "example_video", "--path", path, "--json", env=NOTHING)
    assert ran.code == 0, ran.out
    assert ran.document["path"] == str(path)
    return path


def opened() -> Provider:
    adapter = adapter_named("example_video")
    settings = adapter.settings(api_key="key")
    return adapter.open(Opening("house", settings, timeout_sec=1, tolerance_sec=300))


def test_the_linter_finds_nothing_in_a_skeleton_but_arguments_that_are_still_unused(
    folder: Path,
) -> None:
    path = made(folder)
    root = Path(__file__).parents[3]
    ruff = [str(Path(sys.executable).with_name("ruff"))]
    check = ["check", "--config", "pyproject.toml", "--ignore", "ARG002,INP001"]
    for command in (check, ["format", "--check"]):
        ran = subprocess.run(
            [*ruff, *command, "--no-cache", str(path)],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout


def test_each_method_that_is_missing_says_so_by_its_name(folder: Path) -> None:
    made(folder)
    account, request = opened(), request_of()
    job = JobRef(request.attempt_id, None, datetime.now(UTC))
    job_calls = {"find": account.find, "fetch": account.fetch, "cancel": account.cancel}

    with pytest.raises(TerminalProviderError, match="submit is not written yet"):
        account.submit(request)
    for name, call in job_calls.items():
        with pytest.raises(TerminalProviderError, match=f"{name} is not written yet"):
            call(job)
    with pytest.raises(TerminalProviderError, match="list_since is not written yet"):
        list(account.list_since(datetime.now(UTC)))
    with pytest.raises(SignatureRejected):
        account.verify_callback(CallbackEnvelope({}, b""), ["secret"], datetime.now(UTC))
    with pytest.raises(CallbackUnreadable):
        account.read_callback(CallbackEnvelope({}, b""))


def test_the_conformance_suite_misses_its_fake(folder: Path) -> None:
    made(folder)
    assert set(adapter_names()) - fakes().keys() == {"example_video"}


def test_nothing_is_overwritten(folder: Path) -> None:
    path = folder / "example_video.py"
    path.write_text("mine")
    arguments = ("providers", "new", "another", "--path", path, "--json")
    ran = khronika(*arguments, env=NOTHING)
    assert (ran.code, ran.document["error"]["code"]) == (2, "file_exists")
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "code"),
    [("mux", "adapter_exists"), ("Example", "name_invalid"), ("a/b", "name_invalid")],
)
def test_a_name_that_cannot_be_a_new_one_is_refused(name: str, code: str) -> None:
    ran = khronika("providers", "new", name, "--json", env=NOTHING)
    assert (ran.code, ran.document["error"]["code"]) == (2, code)


def test_another_package_is_told_its_entry_point(tmp_path: Path) -> None:
    package = tmp_path / "house" / "vendors"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    path = package / "example.py"

    ran = khronika_process("providers", "new", "example", "--path", path, env=NOTHING)

    assert ran.code == 0, ran.err
    entry = '[project.entry-points."khronika.adapters"] example = "house.vendors.example:ADAPTER"'
    assert entry in ran.out
    assert path.is_file()
