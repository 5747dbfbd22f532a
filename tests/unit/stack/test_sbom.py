import json
import re
import subprocess
import sys
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from stack.bundled_programs import BUNDLED
from stack.licences import LOCK, ROOT


@pytest.fixture(scope="module")
def bom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("sbom") / "khronika.cdx.json"
    subprocess.run([sys.executable, "-m", "stack.sbom", str(path)], cwd=ROOT, check=True)
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def test_it_is_what_the_standard_says(bom: dict[str, Any]) -> None:
    # The whole takes seconds, and all that are of one kind are written alike.
    few = [*bom["components"][:3], bom["components"][-1]]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(
        json.dumps({**bom, "components": few, "dependencies": bom["dependencies"][:3]})
    ) is None  # fmt: skip


def test_every_locked_package_is_in_it_with_its_version_and_hashes(bom: dict[str, Any]) -> None:
    locked = {
        tuple(entry.split()[0].split("==")): set(re.findall(r"sha256:([0-9a-f]{64})", entry))
        for entry in re.split(r"^(?=\S)", LOCK.read_text(), flags=re.MULTILINE)
        if entry
    }
    listed = {
        (component["name"], component["version"]): {
            digest["content"]
            for reference in component["externalReferences"]
            for digest in reference["hashes"]
        }
        for component in bom["components"]
        if component["purl"].startswith("pkg:pypi/")
    }
    assert len(locked) > 100
    assert all(locked.values())
    assert listed == locked


def test_every_npm_package_is_in_it_and_what_only_lints_is_optional(bom: dict[str, Any]) -> None:
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    locked = {
        (path.rpartition("node_modules/")[2], package["version"], package.get("dev", False))
        for path, package in packages.items()
        if path
    }
    components = [c for c in bom["components"] if c["purl"].startswith("pkg:npm/")]
    listed = {(c["name"], c["version"], c.get("scope") == "optional") for c in components}
    assert listed == locked
    [served] = [c for c in components if c.get("scope") != "optional"]
    assert served["name"] == "hls.js"
    [digest] = served["hashes"]
    assert digest["alg"] == "SHA-512"
    assert len(bytes.fromhex(digest["content"])) == 64


def test_the_programs_that_wheels_bring_along_are_in_it(bom: dict[str, Any]) -> None:
    listed = {c["name"]: c["version"] for c in bom["components"] if "generic" in c["purl"]}
    assert listed == {each.name: each.version for each in BUNDLED}


def test_every_package_says_its_licence_and_something_needs_it(bom: dict[str, Any]) -> None:
    assert [c["name"] for c in bom["components"] if not c.get("licenses")] == []
    known = {component["bom-ref"] for component in bom["components"]}
    needed = {other for each in bom["dependencies"] for other in each["dependsOn"]}
    assert needed == known
