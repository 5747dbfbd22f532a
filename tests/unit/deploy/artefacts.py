"""The files of deploy/, read into one form: the processes that each of them starts."""

from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cli.run_command import command_lines
from stack.home import CHECKOUT

FOLDER = CHECKOUT / "deploy"
EXAMPLES = CHECKOUT / "docs" / "deploy"
SECRETS = Path("/run/secrets")
LINES = command_lines()
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Started:
    """A process that one of the files starts.

    Attributes:
        place: The kind of file, and the name there.
        process: The name in the Procfile.
        environment: All of its variables.
        secrets: The names of the files that are mounted.
        writable: The folders that it may write.
        ports: The ports that others reach.
        stop_sec: The seconds that it gets to end.
    """

    place: str
    process: str
    environment: Mapping[str, str]
    secrets: frozenset[str]
    writable: Sequence[Path]
    ports: frozenset[int]
    stop_sec: float


def every_process() -> list[Started]:
    """Every process that a file of deploy/ starts."""
    return [*in_compose(), *in_kubernetes(), *in_systemd()]


@cache
def compose() -> Document:
    document: Document = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return document


def in_compose() -> Iterator[Started]:
    for name, service in compose()["services"].items():
        if service["image"].startswith("khronika/") and service["command"][0] == "run":
            _, process = service["command"]
            mounted = [Path(each.split(":")[1]) for each in service.get("volumes", ())]
            yield Started(
                f"compose {name}",
                process,
                service["environment"],
                frozenset(service["secrets"]),
                [*mounted, *(Path(each.split(":")[0]) for each in service["tmpfs"])],
                frozenset(int(each.split(":")[2]) for each in service.get("ports", ())),
                float(service["stop_grace_period"].removesuffix("s")),
            )


@cache
def resources() -> Sequence[Document]:
    """Every resource of the Kubernetes manifests, the job of the migrations included."""
    folder = FOLDER / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    names = [*listed, "migrate.yaml"]
    return [each for name in names for each in yaml.safe_load_all((folder / name).read_text())]


def of_kind(kind: str) -> dict[str, Document]:
    return {each["metadata"]["name"]: each for each in resources() if each["kind"] == kind}


def in_kubernetes() -> Iterator[Started]:
    settings = of_kind("ConfigMap")
    for name, deployment in of_kind("Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        _, process = container["args"]
        environment: dict[str, str] = {}
        for each in container["envFrom"]:
            environment |= settings[each["configMapRef"]["name"]]["data"]
        environment |= {each["name"]: each["value"] for each in container.get("env", ())}
        volumes = {each["name"]: each for each in pod["volumes"]}
        items = volumes["secrets"]["secret"]["items"]
        assert all(each["key"] == each["path"] for each in items)
        mounts = [mount for mount in container["volumeMounts"] if not mount.get("readOnly")]
        yield Started(
            f"kubernetes {name}",
            process,
            environment,
            frozenset(each["key"] for each in items),
            [Path(mount["mountPath"]) for mount in mounts if "emptyDir" in volumes[mount["name"]]],
            frozenset(each["containerPort"] for each in container.get("ports", ())),
            float(pod["terminationGracePeriodSeconds"]),
        )


def unit(name: str) -> ConfigParser:
    """A unit of systemd, with its drop-in."""
    read = ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment, method-assign]  # its documented use
    folder = FOLDER / "systemd"
    read.read([folder / name, *sorted((folder / f"{name}.d").glob("*.conf"))])
    return read


def secrets_of_unit(name: str) -> frozenset[str]:
    """The files that a unit binds to the place where its process looks for them."""
    text = (FOLDER / "systemd" / f"{name}.d" / "secrets.conf").read_text()
    bound = [line.partition("=")[2].split(":") for line in text.splitlines()[1:]]
    assert all(f"/etc/khronika/secrets/{Path(to).name}" == at for at, to in bound)
    return frozenset(Path(to).name for _, to in bound)


def units_of_the_target() -> list[str]:
    text = (FOLDER / "systemd" / "khronika.target").read_text()
    lines = [line.removeprefix("Wants=") for line in text.splitlines() if line[:6] == "Wants="]
    return " ".join(lines).split()


def in_systemd() -> Iterator[Started]:
    for name in units_of_the_target():
        process = name.removeprefix("khronika@").removesuffix(".service")
        service = {**unit("khronika@.service")["Service"]}
        dropped = unit(name)
        service |= dropped["Service"]
        example = "worker" if process == "submitter" else process.removesuffix("-worker")
        lines = (EXAMPLES / f"{example}.env").read_text().splitlines()
        lines += [service["Environment"]] if "Environment" in service else []
        yield Started(
            f"systemd {process}",
            process,
            dict(line.split("=", 1) for line in lines if line and line[0] != "#"),
            secrets_of_unit(name),
            [Path(service["ReadWritePaths"])],
            frozenset(),
            float(service["TimeoutStopSec"]),
        )
