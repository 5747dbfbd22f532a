"""The step of the wheel's build that packs files which are not Python; pyproject.toml names it.

Setuptools runs it before anything of ours is installed: it imports nothing of ours.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from setuptools.command.build_py import build_py

TARGET = Path("khronika_video", "files")
SERVED = (".css", ".html", ".js")
FOR_DEVELOPERS = ("node_modules", "eslint.config.js")
LIBRARIES = {"hls.js": ("package.json", "LICENSE", "dist/hls.light.min.mjs")}
"""Files of npm's packages that pages load, with the file that names their version."""


class PackingBuild(build_py):  # type: ignore[misc]  # setuptools ships no types
    """The build of the modules, which also packs the Procfile and the pages' files."""

    def run(self) -> None:
        """Build; an editable install leaves the files where they are."""
        super().run()
        if not self.editable_mode:
            pack(Path.cwd(), Path(self.build_lib) / TARGET)


def pack(checkout: Path, target: Path) -> None:
    """Copy the files of a checkout.

    Raises:
        SystemExit: a library of the pages was not fetched.
    """
    for name in packed_files(checkout):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(checkout / name, target / name)
        except FileNotFoundError:
            raise SystemExit(
                f"{name} is missing. Fetch the pages' libraries first:"
                " npm ci --prefix web --omit=dev --ignore-scripts"
            ) from None


def packed_files(checkout: Path) -> Iterator[str]:
    """Yield the names of the files, relative to the checkout."""
    yield "Procfile"
    for file in sorted((checkout / "web").rglob("*")):
        path = file.relative_to(checkout / "web")
        if file.suffix in SERVED and path.parts[0] not in FOR_DEVELOPERS:
            yield f"web/{path}"
    for library, files in LIBRARIES.items():
        yield from (f"web/node_modules/{library}/{file}" for file in files)
