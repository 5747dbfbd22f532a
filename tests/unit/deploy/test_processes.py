"""Each kind of deployment starts every process, with the process's variables and no others."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pipeline.config.work_settings import LeaseSettings
from stack.process_variables import environment_of
from tests.production import PIPELINE, READERS, TRANSCODER, key_for
from tests.unit.deploy.artefacts import (
    FOLDER,
    LINES,
    SECRETS,
    Started,
    compose,
    every_process,
    in_kubernetes,
    of_kind,
    unit,
)
from transcoder.settings import load_beat_settings

OWN_OF_FLOWER = "FLOWER_"
SHARED = {"systemd transcoder-worker": {"KHRONIKA_TRANSCODER_BIND"}}
"""No secret, and harmless in the example that two processes share."""
SAMPLES = {
    **PIPELINE,
    **TRANSCODER,
    "KHRONIKA_METRICS_TOKEN": key_for("metrics"),
    "KHRONIKA_STORAGE_SECRET": key_for("storage"),
    "KHRONIKA_TRANSCODER_STORAGE_SECRET": key_for("storage"),
}
"""The content of the secret files, by variable."""
MIGRATION = {
    "DATABASE_URL_FILE": "owner_database_url",
    **{
        f"KHRONIKA_{part.upper()}_DATABASE_URL_FILE": f"{part}_database_url"
        for part in ("api", "public", "operator", "worker", "transcoder")
    },
}

each_process = pytest.mark.parametrize("started", every_process(), ids=lambda each: each.place)


def reader_of(process: str) -> str:
    return {"submitter": "worker", "transcoder-worker": "transcoder"}.get(process, process)


@pytest.mark.parametrize("kind", ["compose", "kubernetes", "systemd"])
def test_every_process_of_the_procfile_is_started_and_no_other(kind: str) -> None:
    found = {each.process for each in every_process() if each.place.startswith(f"{kind} ")}
    assert found == set(LINES)


def test_each_start_is_that_of_the_procfile() -> None:
    for name, service in compose()["services"].items():
        if service["image"].startswith("khronika/") and name != "migrate":
            assert service["command"] == ["run", name]
            assert "entrypoint" not in service
    for deployment in of_kind("Deployment").values():
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["run", container["name"]]
        assert "command" not in container
    assert unit("khronika@.service")["Service"]["ExecStart"] == "/opt/khronika/bin/khronika run %i"


@each_process
def test_a_process_gets_the_variables_that_it_reads_and_no_others(started: Started) -> None:
    given = dict.fromkeys((name.removesuffix("_FILE") for name in started.environment), "1")
    given |= {"KHRONIKA_ACCOUNTS": "selfhosted"}
    read = environment_of(started.process, LINES[started.process], given)
    unread = given.keys() - read.keys() - {"KHRONIKA_ACCOUNTS"} - SHARED.get(started.place, set())
    assert {name for name in unread if not name.startswith(OWN_OF_FLOWER)} == set()


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets that the script makes for compose."""
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder)
    return folder


def make_secrets(folder: Path) -> None:
    subprocess.run([FOLDER / "make-secrets.sh", folder], check=True)


def test_the_script_makes_each_secret_of_compose_once_and_for_its_owner_alone(
    secrets: Path,
) -> None:
    made = {path.name: path.read_text() for path in secrets.iterdir()}
    assert made.keys() == {*compose()["secrets"], "flower.env"}
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o600}
    make_secrets(secrets)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == made


@each_process
def test_a_process_has_every_variable_that_production_needs_and_no_unsafe_one(
    started: Started, secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*PIPELINE, *TRANSCODER, "KHRONIKA_ISOLATION_WAIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in started.environment.items():
        if name.endswith("_FILE"):
            file = tmp_path / name
            made = secrets / Path(value).name
            is_made = started.place.startswith("compose")
            file.write_text(made.read_text() if is_made else SAMPLES[name.removesuffix("_FILE")])
            monkeypatch.setenv(name, str(file))
        else:
            monkeypatch.setenv(name, value)
    process = reader_of(started.process)
    assert started.environment["KHRONIKA_ENV"] == "production"
    read = load_beat_settings if process == "transcoder-beat" else READERS[process][1]
    assert read() is not None


@each_process
def test_a_process_has_the_secret_files_that_its_variables_name_and_no_others(
    started: Started,
) -> None:
    files = [value for name, value in started.environment.items() if name.endswith("_FILE")]
    assert {Path(value).parent for value in files} == {SECRETS}
    assert started.secrets == {Path(value).name for value in files}


@each_process
def test_a_folder_that_a_process_writes_is_writable(started: Started) -> None:
    folders = [
        Path(value)
        for name, value in started.environment.items()
        if name in {"KHRONIKA_HOME", "KHRONIKA_TRANSCODER_SCRATCH"}
    ]
    text = " ".join(started.environment.values())
    folders += [Path(path) for path in re.findall(r"file://(/[\w/-]+)", text)]
    outside = [
        folder
        for folder in folders
        if not any(folder.is_relative_to(place) for place in started.writable)
    ]
    assert outside == []


@each_process
def test_a_process_gets_longer_to_end_than_its_longest_work(started: Started) -> None:
    environment, leases = started.environment, LeaseSettings.model_fields
    least = {
        "web": float(environment.get("KHRONIKA_WEB_GRACE_SEC", 0)) + 5,
        "transcoder": float(environment.get("KHRONIKA_TRANSCODER_GRACE_SEC", 0)) + 5,
        "submitter": leases["task_hard_limit_sec"].default + 10,
        "worker": leases["task_hard_limit_sec"].default + 10,
        "transcoder-worker": 120,  # a callback, and a lease of 90 s
    }
    assert started.stop_sec >= least.get(started.process, 5)
    if started.process in {"web", "transcoder"}:
        assert least[started.process] >= 20, "the 5 s of the Procfile are for Ctrl-C"


def test_each_queue_has_a_deployment_of_its_own() -> None:
    queues = Counter(
        queue
        for each in in_kubernetes()
        for queue in queues_of(each)
        if "--queues" in LINES[each.process]
    )
    assert queues == Counter(["submit", "reconcile", "sweep", "transcode", "transcoder-sweep"])


def queues_of(started: Started) -> list[str]:
    line = LINES[started.process]
    found = re.search(r'--queues (?:"\$\{(\w+):-)?([\w,-]+)', line)
    if found is None:
        return []
    return started.environment.get(found[1] or "", found[2]).split(",")


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_the_migration_alone_has_the_owners_login(place: str) -> None:
    if place == "compose":
        job = compose()["services"]["migrate"]
        command, environment = job["command"], job["environment"]
        mounted = set(job["secrets"])
    else:
        pod = of_kind("Job")["migrate"]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        command = container["args"]
        environment = {each["name"]: each["value"] for each in container["env"]}
        sources = pod["volumes"][0]["projected"]["sources"]
        mounted = {item["key"] for source in sources for item in source["secret"]["items"]}
    assert command == ["migrate", "--set-logins"]
    assert environment == {name: f"{SECRETS}/{file}" for name, file in MIGRATION.items()}
    assert mounted == set(MIGRATION.values())
    assert [each.place for each in every_process() if "owner" in "".join(each.secrets)] == []
