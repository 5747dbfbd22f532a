"""Leave out where the code itself asks whose something is: the next defence still answers."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.mutations.mutants import ROOT, Mutant

PATIENCE_SEC = 240.0

FORGOTTEN = (
    Mutant("lifecycle/create.py", "_existing", "Asset.owner_id == request.owner_id"),
    Mutant("lifecycle/create.py", "_refuse_missing_upload", "Upload.owner_id == request.owner_id"),
    Mutant(
        "uploads/tickets.py",
        "holder_of_ticket",
        "if named != str(upload_id):\n    raise NotFound('upload_not_found')",
    ),
    Mutant(
        "routes/assets.py",
        "create",
        "if json_data.source_url is not None:\n"
        "    check_source(json_data.source_url, owner_id, here.settings.sources.fetch_policy)",
        package="api",
    ),
)


def told(product: Path, environment: Mapping[str, str]) -> tuple[dict[str, int], tuple[int, str]]:
    """How this copy of the product answers a stranger, in a process of its own."""
    path = {"PYTHONPATH": f"{product}{os.pathsep}{ROOT}"}
    tried = subprocess.run(
        [sys.executable, "-m", "tests.mutations.trespass"],
        cwd=product,
        env={**os.environ, **environment, **path},
        stdout=subprocess.PIPE,
        timeout=PATIENCE_SEC,
        check=True,
    )
    answers, named_original = json.loads(tried.stdout.splitlines()[-1])
    return answers, tuple(named_original)


def test_code_that_forgets_whose_something_is_lets_no_stranger_in(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    for forgotten in FORGOTTEN:
        forgotten.grow(tmp_path / "mutant")

    answers, named_original = told(tmp_path / "mutant", environment)

    assert answers.pop("owner creates") == 202
    assert answers.pop("owner sends") == 200
    assert answers == dict.fromkeys(answers, 404)
    assert len(answers) == 6
    assert named_original == (202, "url_refused")
