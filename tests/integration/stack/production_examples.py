"""The example environments of docs/deploy, with a test's own folders, servers and ports."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.media.confinement import WAIVE, missing_layers
from pipeline.storage.local import prepare_folder
from stack.home import CHECKOUT
from stack.ports import free_port
from stack.process_variables import is_ours
from tests.integration.stack.procfile_runs import WEB
from tests.production import key_for, webhook_secret_for

FOLDER = CHECKOUT / "docs" / "deploy"
SECRETS, STATE = "/run/secrets", "/srv/khronika"
"""Its folders; a test has its own in their place."""
KEYS = ("secret_key", "jwt_secret", "transcoder_token", "metrics_token")
LOGINS = ("api", "worker", "operator", "public", "transcoder")


def example_of(name: str) -> str:
    """The example of a process of the Procfile."""
    file = "worker" if name == "submitter" else name.removesuffix("-worker")
    return (FOLDER / f"{file}.env").read_text()


def variables_in(example: str) -> dict[str, str]:
    lines = [line for line in example.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


class ProductionExamples:
    """The environment of each process, in a folder with its secrets and its state."""

    def __init__(self, folder: Path, logins: Mapping[str, str], broker_url: str) -> None:
        self._secrets, self._state = folder / "secrets", folder / "state"
        self._secrets.mkdir(parents=True)
        values = {
            **{f"{part}_database_url": logins[part] for part in LOGINS},
            "broker_url": broker_url,
            "webhook_secret": webhook_secret_for("callbacks"),
            **{name: key_for(name) for name in KEYS},
        }
        for name, value in values.items():
            (self._secrets / name).write_text(value + "\n")
        prepare_folder(self._state / "post-videos")
        self._ports = {port: str(free_port()) for port in ("8080", "9090", "8090", "5555")}

    def __call__(self, name: str) -> dict[str, str]:
        """Return all of the environment of a process of the Procfile."""
        text = example_of(name).replace(SECRETS, str(self._secrets))
        text = text.replace(STATE, str(self._state))
        for port, free in self._ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
            text = text.replace(f"PORT={port}", f"PORT={free}")
        foreign = {kept: value for kept, value in os.environ.items() if not is_ours(kept)}
        foreign["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        here = {WEB: f"127.0.0.1:{self._ports['8080']}"} if name == "web" else {}
        if lacking := missing_layers():  # the machine of the tests may be older than production
            here |= {WAIVE: ",".join(lacking), "KHRONIKA_ACCEPT_RISK": "no_isolation"}
        return foreign | variables_in(text) | here
