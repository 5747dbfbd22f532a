"""Every package that is locked, as a CycloneDX document: ``python -m stack.sbom FILE``.

Read from the locks and not from an environment: it says what is installed anywhere, on other
platforms too, with the hashes that installing insists on.
"""

import base64
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.licences import LOCK, PAGE, ROOT, expression_of, licence_of, listed_licence

NPM_LOCK = ROOT / "web" / "package-lock.json"
PROJECT = ROOT / "pyproject.toml"

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"

_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*(?:\n[ \t].*)*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NEEDED_BY = re.compile(r"^ +#(?: via)? +([A-Za-z0-9._-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Locked:
    """One package as requirements.lock has it.

    Attributes:
        hashes: SHA-256 of each of its files, any of which may be installed.
        needed_by: Names of the packages it is there for.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]

    @property
    def ref(self) -> str:
        """Its package URL, by which it is known in the document."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(lock: str) -> Iterator[Locked]:
    """The packages of requirements.lock; some are there in one version for each platform."""
    for name, version, rest in _ENTRY.findall(lock):
        yield Locked(name, version, tuple(_HASH.findall(rest)), tuple(_NEEDED_BY.findall(rest)))


def document(lock: str, npm_lock: str, project: Mapping[str, Any]) -> dict[str, Any]:
    """The whole of it (CycloneDX 1.6), the same for the same locks.

    Args:
        lock: What requirements.lock says.
        npm_lock: What web/package-lock.json says; of it what is served is taken, and no tools.
        project: The table of pyproject.toml.
    """
    packages = list(read_lock(lock))
    served = list(_served(json.loads(npm_lock)["packages"]))
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    needs = _needs(packages, {project["name"]: root})
    needs[root] += [component["bom-ref"] for component in served]
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "purl": root,
                **{name: project[name] for name in ("name", "version", "description")},
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": [*map(_component, packages), *served],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(needed)} for ref, needed in sorted(needs.items())
        ],
    }


def _component(package: Locked) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.ref,
        "name": package.name,
        "version": package.version,
        "purl": package.ref,
        "licenses": [_licence(package.name)],
        "externalReferences": [
            {
                "type": "distribution",
                "url": package.ref,
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
            }
        ],
    }


def _licence(name: str) -> dict[str, Any]:
    if expression := expression_of(name):
        return {"expression": expression}
    said = licence_of(name) or listed_licence(name, PAGE.read_text())
    return {"license": {"name": said}}


def _needs(packages: list[Locked], refs: Mapping[str, str]) -> dict[str, list[str]]:
    """What each package needs; ``refs`` are those of the packages that the lock does not have."""
    known = defaultdict(list, {name: [ref] for name, ref in refs.items()})
    for package in packages:
        known[package.name].append(package.ref)
    needs: dict[str, list[str]] = defaultdict(list)
    for package in packages:
        for name in package.needed_by:
            for ref in known[name]:
                needs[ref].append(package.ref)
    return needs


def _served(packages: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for place, package in packages.items():
        if not place or package.get("dev"):
            continue
        name = place.rpartition("node_modules/")[2]
        ref = f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        algorithm, _, digest = package["integrity"].partition("-")
        yield {
            "type": "library",
            "bom-ref": ref,
            "name": name,
            "version": package["version"],
            "purl": ref,
            "licenses": [{"expression": package["license"]}],
            "hashes": [
                {
                    "alg": algorithm.upper().replace("SHA", "SHA-"),
                    "content": base64.b64decode(digest).hex(),
                }
            ],
        }


if __name__ == "__main__":
    made = document(
        LOCK.read_text(), NPM_LOCK.read_text(), tomllib.loads(PROJECT.read_text())["project"]
    )
    Path(sys.argv[1]).write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
