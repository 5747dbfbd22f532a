"""No migration is edited or removed after it has been committed."""

import shutil
from pathlib import Path

import pytest

from cli.database_schemas import HISTORIES
from cli.schema_names import SchemaName
from stack.migration_digests import problems_of, record_new, recorded_digests


@pytest.mark.parametrize("schema", list(SchemaName))
def test_every_migration_is_as_it_was_committed(schema: SchemaName) -> None:
    folder = HISTORIES[schema].folder
    assert list(problems_of(folder)) == []
    assert "versions/0001" in "".join(recorded_digests(folder))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    shutil.copytree(HISTORIES[SchemaName.TRANSCODER].folder, folder)
    return folder


def test_an_edited_one_is_named_and_no_run_records_it(copied: Path) -> None:
    edited = copied / "versions" / "0002_old_jobs_are_forgotten.py"
    edited.write_text(edited.read_text() + "\n")
    record_new(copied)
    [problem] = problems_of(copied)
    assert problem.startswith("versions/0002_old_jobs_are_forgotten.py was edited")


def test_a_missing_one_is_named(copied: Path) -> None:
    (copied / "versions" / "0002_old_jobs_are_forgotten.py").unlink()
    record_new(copied)
    [problem] = problems_of(copied)
    assert problem.startswith("versions/0002_old_jobs_are_forgotten.py is missing")


def test_a_new_one_is_named_until_it_is_recorded(copied: Path) -> None:
    (copied / "versions" / "0099_new.py").write_text("revision = '0099'\n")
    assert list(problems_of(copied)) == [
        "versions/0099_new.py has no digest: run python -m stack.migration_digests"
    ]
    record_new(copied)
    assert list(problems_of(copied)) == []
