"""The wheel is the whole product: its processes start from it in an empty folder."""

import os
import re
import signal
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest
import requests

from stack.wheel_build import packed_files
from tests.conditions import wait_until
from tests.integration.stack.procfile_runs import WEB, has_started
from tests.integration.stack.wheel_installs import Installed, build_wheel, copy_sources
from tests.shared_run import Databases

PACKAGES = ("api", "cli", "pipeline", "transcoder", "worker", "khronika_video")
STARTED = ("web", "worker", "beat", "transcoder")
"""The processes of different applications; the others run the same ones on other queues."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_has_every_module_template_and_page_and_nothing_else(
    wheel: Path, tmp_path: Path
) -> None:
    copy_sources(tmp_path)
    modules = {
        str(path.relative_to(tmp_path))
        for package in PACKAGES
        for path in (tmp_path / package).rglob("*")
        if path.suffix in {".py", ".html", ".json"}
    }
    packed = {f"khronika_video/files/{name}" for name in packed_files(tmp_path)}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {"celeryconfig.py", *modules, *packed}
    assert "pipeline/migrations/versions/0001_status.py" in held
    assert "transcoder/migrations/versions/0001_jobs_and_callbacks.py" in held


def test_the_wheel_says_that_it_is_an_application(wheel: Path) -> None:
    files = zipfile.ZipFile(wheel)
    [metadata] = [name for name in files.namelist() if name.endswith("/METADATA")]
    assert "install it into an environment of its own" in files.read(metadata).decode()


def test_a_build_without_the_pages_library_is_refused_with_the_command_that_fetches_it(
    tmp_path: Path,
) -> None:
    copy_sources(tmp_path)
    (tmp_path / "web" / "node_modules" / "hls.js" / "LICENSE").unlink()
    with pytest.raises(SystemExit, match="npm ci"):
        list_of_packed(tmp_path)


def list_of_packed(checkout: Path) -> None:
    from stack.wheel_build import pack  # noqa: PLC0415 - imports setuptools

    pack(checkout, checkout / "packed")


def end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def running(
    installed: Installed, production: Callable[[str], dict[str, str]], empty: Path, tmp_path: Path
) -> Iterator[Mapping[str, Mapping[str, str]]]:
    """The environments of the processes that run from the wheel, by name."""
    environments = {name: production(name) for name in STARTED}
    with ExitStack() as exits:
        processes = {}
        for name, environment in environments.items():
            output = exits.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [installed.program("khronika"), "run", name],
                cwd=empty,
                env={key: value for key, value in environment.items() if key != "PYTHONPATH"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            exits.callback(end, process)
            processes[name] = process
        for name, process in processes.items():
            log = tmp_path / f"{name}.log"

            given = environments[name]
            wait_until(partial(has_started, name, process, given, log), f"{name} has started")
        yield environments


def test_its_processes_start_in_an_empty_folder_and_serve_a_page_with_its_script(
    running: Mapping[str, Mapping[str, str]], empty: Path
) -> None:
    api = f"http://{running['web'][WEB]}"
    assert requests.get(f"{api}/healthz", timeout=60).ok
    assert requests.get(f"{api}/readyz", timeout=60).ok

    internal = f"http://{running['web']['KHRONIKA_INTERNAL_BIND']}"
    page = requests.get(f"{internal}/ops/sign-in", timeout=60)
    [script] = re.findall(r'<script[^>]* src="([^"]+)"', page.text)
    assert requests.get(internal + script, timeout=60).text.strip().startswith("const ")
    assert requests.get(f"{internal}/docs", timeout=60).ok
    assert "customElements" in requests.get(f"{api}/web/khronika-video.js", timeout=60).text
    library = f"{api}/web/vendor/hls.js/1.2.3/hls.light.min.mjs"
    assert requests.get(library, timeout=60).text == "export default class {}"
    assert list(empty.iterdir()) == []


def test_it_migrates_an_empty_database(
    installed: Installed, databases: Databases, empty: Path
) -> None:
    url = databases.make("khronika_from_the_wheel")
    try:
        done = installed.khronika("migrate", cwd=empty, env={"DATABASE_URL": url})
        assert (done.returncode, done.stderr) == (0, "")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM video_assets").fetchone() == (0,)
            assert connection.execute("SELECT count(*) FROM transcoder.jobs").fetchone() == (0,)
    finally:
        databases.drop("khronika_from_the_wheel")


def test_a_working_directory_is_no_home_whose_settings_are_taken(
    installed: Installed, empty: Path
) -> None:
    (empty / ".khronika" / "run").mkdir(parents=True)
    (empty / ".khronika" / "secrets.json").write_text('{"jwt_secret": "of a stranger"}')
    done = installed.khronika("token", "--owner", "an-owner", cwd=empty, env={})
    assert done.returncode == 2
    assert "KHRONIKA_JWT_SECRET" in done.stderr


@pytest.mark.parametrize("name", ["api", "celeryconfig", "worker"])
def test_a_process_refuses_a_folder_with_a_module_of_the_name_of_ours(
    installed: Installed, empty: Path, name: str
) -> None:
    (empty / f"{name}.py").touch()
    done = installed.khronika("run", "web", cwd=empty, env={})
    assert done.returncode == 2
    assert f"{name}: an import finds {empty / name}.py" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["app", "beat", "flower"])
def test_celery_takes_no_settings_from_a_folder_either(
    installed: Installed, empty: Path, module: str
) -> None:
    (empty / "celeryconfig.py").write_text("accept_content = ['pickle']\n")
    done = subprocess.run(
        [installed.program("celery"), "-A", f"worker.{module}", "report"],
        cwd=empty,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"celeryconfig: an import finds {empty / 'celeryconfig.py'}" in done.stderr


@pytest.mark.parametrize("name", ["api", "cli", "worker"])
def test_a_module_of_another_distribution_that_is_found_first_is_refused(
    installed: Installed, empty: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "first" / name).mkdir(parents=True)
    (tmp_path / "first" / name / "__init__.py").touch()
    env = {"PYTHONPATH": str(tmp_path / "first")}
    done = installed.khronika("--help", cwd=empty, env=env)
    assert done.returncode == 2
    assert f"{name}: an import finds {tmp_path / 'first' / name}" in done.stderr


@pytest.fixture
def overwritten(installed: Installed, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a package that another distribution was installed over."""
    name: str = request.param
    file = installed.packages / name / "__init__.py"
    before = file.read_bytes()
    metadata = installed.packages / "fast_tools-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fast-tools\nVersion: 1.0\n")
    (metadata / "RECORD").write_text(f"{name}/__init__.py,,\n")
    file.write_text("NAME = 'of another'\n")
    yield name
    file.write_bytes(before)
    for left in (*metadata.iterdir(), metadata):
        left.unlink() if left.is_file() else left.rmdir()


@pytest.mark.parametrize("overwritten", ["api", "cli", "worker"], indirect=True)
def test_a_distribution_that_was_installed_over_ours_is_refused_by_its_name(
    installed: Installed, empty: Path, overwritten: str
) -> None:
    done = installed.khronika("--help", cwd=empty, env={})
    assert done.returncode == 2
    assert f"{overwritten}: fast-tools was installed over it" in done.stderr


def test_a_change_by_hand_is_no_other_distribution(installed: Installed, empty: Path) -> None:
    file = installed.packages / "cli" / "__init__.py"
    before = file.read_bytes()
    try:
        file.write_bytes(before + b"# a mend\n")
        assert installed.khronika("--help", cwd=empty, env={}).returncode == 0
    finally:
        file.write_bytes(before)


def test_a_process_without_a_line_is_refused_with_the_names_of_the_others(
    installed: Installed, empty: Path
) -> None:
    done = installed.khronika("run", "scheduler", cwd=empty, env={})
    assert done.returncode == 2
    assert "transcoder-beat" in done.stderr
