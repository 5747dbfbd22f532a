"""The software bill of materials: ``python -m stack.sbom FILE`` writes it as CycloneDX 1.6.

cyclonedx-py reads requirements.lock with its hashes, and npm reads web/package-lock.json; the
programs that wheels bring along are those of `stack.bundled_programs`. The locks
and not an environment are listed: they include the packages of other platforms. The licences come
from docs/licences.md, the relations from the comments of requirements.lock.
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.license import DisjunctiveLicense

from stack.bundled_programs import BUNDLED, Bundled
from stack.licences import LOCK, PAGE, ROOT, read_licences

PROJECT = ROOT / "pyproject.toml"
WEB = ROOT / "web"
LIST_PYTHON = [
    *(sys.executable, "-W", "ignore", "-m", "cyclonedx_py"),
    *("requirements", str(LOCK), "--pyproject", str(PROJECT), "--mc-type", "application"),
    *("--output-reproducible", "--no-validate"),
]
LIST_WEB = [
    *("npm", "sbom", "--sbom-format", "cyclonedx"),
    *("--package-lock-only", "--loglevel", "error"),
]

_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*(?:\n[ \t].*)*)", re.MULTILINE)
_NEEDED_BY = re.compile(r"^ +#(?: via)? +([A-Za-z0-9._-]+)", re.MULTILINE)

Document = dict[str, Any]


def make_document() -> Document:
    """Return the document; it is the same for the same locks."""
    document, web = _run(LIST_PYTHON, ROOT), _run(LIST_WEB, WEB)
    licences = read_licences(PAGE.read_text())
    for component in document["components"]:
        component["bom-ref"] = component["purl"]
        component["licenses"] = [_licence(licences[component["name"]])]
        del component["description"]  # the line of the lock
    root = document["metadata"]["component"]
    root["bom-ref"] = root["purl"] = f"pkg:pypi/{root['name']}@{root['version']}"
    needs = _needs(LOCK.read_text(), {root["name"]: root["bom-ref"]})
    needs |= {each["ref"]: each["dependsOn"] for each in web["dependencies"]}
    needs[root["bom-ref"]] += needs.pop(web["metadata"]["component"]["bom-ref"])
    document["components"] += web["components"] + [_program(each) for each in BUNDLED]
    for each in BUNDLED:
        for ref in (ref for ref in document["components"] if ref["name"] == each.package):
            needs[ref["bom-ref"]].append(each.purl)
    document["dependencies"] = [
        {"ref": ref, "dependsOn": sorted(needed)} for ref, needed in sorted(needs.items()) if needed
    ]
    return document


def _run(command: list[str], folder: Path) -> Document:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # node's too
    listed = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, check=True
    )
    document: Document = json.loads(listed.stdout)
    return document


def _program(bundled: Bundled) -> Document:
    return {
        "type": "application",
        "bom-ref": bundled.purl,
        "name": bundled.name,
        "version": bundled.version,
        "purl": bundled.purl,
        "licenses": [_licence(bundled.licence)],
    }


def _licence(text: str) -> Document:
    licence = LicenseFactory().make_from_string(text)
    if isinstance(licence, DisjunctiveLicense):
        return {"license": {"id": licence.id} if licence.id else {"name": licence.name}}
    return {"expression": licence.value}


def _needs(lock: str, refs: dict[str, str]) -> dict[str, list[str]]:
    """Return the references of the packages that each package needs.

    Args:
        lock: The text of requirements.lock; it has some packages once for each platform.
        refs: The references of the packages that the lock does not have, by name.
    """
    known = defaultdict(list, {name: [ref] for name, ref in refs.items()})
    needed_by = {}
    for name, version, rest in _ENTRY.findall(lock):
        ref = f"pkg:pypi/{name}@{version}"
        known[name].append(ref)
        needed_by[ref] = _NEEDED_BY.findall(rest)
    needs = defaultdict(list)
    for needed, names in needed_by.items():
        for ref in (ref for name in names for ref in known[name]):
            needs[ref].append(needed)
    return needs


if __name__ == "__main__":
    text = json.dumps(make_document(), indent=2, ensure_ascii=False)
    Path(sys.argv[1]).write_text(f"{text}\n")
