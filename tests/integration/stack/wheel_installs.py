"""The wheel, built from a copy of the checkout and installed into an environment of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

from stack.home import CHECKOUT

SOURCES = (
    *("api", "cli", "pipeline", "transcoder", "worker", "khronika_video", "stack", "web"),
    *("celeryconfig.py", "Procfile", "pyproject.toml", "README.md", "LICENSE"),
)
LIBRARY = Path("node_modules", "hls.js")
PROGRAMS = ("celery", "gunicorn")


def copy_sources(target: Path) -> None:
    """Copy the files that a wheel is built from, with a stand-in for a library that npm fetches."""
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            kept_out = shutil.ignore_patterns("node_modules", "__pycache__")
            shutil.copytree(CHECKOUT / name, target / name, ignore=kept_out)
        else:
            shutil.copy(CHECKOUT / name, target / name)
    library = target / "web" / LIBRARY
    (library / "dist").mkdir(parents=True)
    (library / "package.json").write_text('{"version": "1.2.3"}')
    (library / "LICENSE").write_text("the licence")
    (library / "dist" / "hls.light.min.mjs").write_text("export default class {}")


def build_wheel(folder: Path) -> Path:
    """Build the wheel, without a network."""
    copy_sources(folder / "sources")
    command: list[str | Path] = [
        *(Path(sys.executable).with_name("uv"), "build", "--wheel", "--quiet", "--offline"),
        *("--no-build-isolation", "--python", sys.executable, "--out-dir", folder / "dist"),
    ]
    subprocess.run(command, cwd=folder / "sources", check=True)
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


class Installed:
    """An environment with the wheel in it, and the packages that it depends on beside it."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=False, symlinks=True)
        command: list[str | Path] = [
            *(Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--offline"),
            *("--no-deps", "--python", folder / "bin" / "python", wheel),
        ]
        subprocess.run(command, check=True)
        # Folders that a .pth names are searched, and their own .pth, the checkout's, is not read.
        (self.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        for name in PROGRAMS:
            script = Path(sys.executable).with_name(name).read_text()
            ours = self.program(name)
            ours.write_text(script.replace(str(Path(sys.executable).parent), str(folder / "bin")))
            ours.chmod(0o755)

    @property
    def packages(self) -> Path:
        """The folder of its packages."""
        [found] = self.folder.glob("lib/python*/site-packages")
        return found

    def program(self, name: str) -> Path:
        """Return the path of one of its programs."""
        return self.folder / "bin" / name

    def khronika(
        self, *arguments: str, cwd: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run its command to the end, with only this environment."""
        return subprocess.run(
            [self.program("khronika"), *arguments],
            cwd=cwd,
            env={"PATH": os.defpath, "HOME": str(cwd), **env},
            capture_output=True,
            text=True,
            check=False,
        )
