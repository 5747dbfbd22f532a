import os
from collections.abc import Iterator, Mapping

import pytest
from sqlalchemy import make_url, text

from pipeline.operations.schema_check import Finding, check_catalogue
from tests.integration.schema.conftest import entered
from tests.shared_run import Databases

Found = set[tuple[str, str, str]]

PARTITION = "video_processing_events_default"

# What somebody does to the database, and what the check says of it: (section, name, problem).
DRIFT: Mapping[str, tuple[str, Found]] = {
    "a label added to the enum": (
        "ALTER TYPE video_processing_status ADD VALUE 'paused'",
        {("enum", "video_processing_status", "different")},
    ),
    "a table dropped": (
        "DROP TABLE idempotency_keys",
        {("table", "idempotency_keys", "missing")},
    ),
    "a table handed to a login": (
        "ALTER TABLE uploads OWNER TO khronika_api",
        {
            ("table", "uploads", "different"),
            # What the login was granted is its own now, and the migrator has lost everything.
            ("grant", "uploads.khronika_api", "missing"),
        },
    ),
    "a column dropped": (
        "ALTER TABLE uploads DROP COLUMN source_info",
        {
            ("column", "uploads.source_info", "missing"),
            ("grant", "uploads.khronika_api", "different"),  # it names the column
            ("grant", "uploads.khronika_operator", "different"),
        },
    ),
    "a column widened to null": (
        "ALTER TABLE uploads ALTER COLUMN filename DROP NOT NULL",
        {("column", "uploads.filename", "different")},
    ),
    "a constraint dropped": (
        "ALTER TABLE video_assets DROP CONSTRAINT video_assets_live_has_deadline",
        {("constraint", "video_assets.video_assets_live_has_deadline", "missing")},
    ),
    "an index dropped": (
        "DROP INDEX video_assets_due",
        {("index", "video_assets.video_assets_due", "missing")},
    ),
    "an index over other rows": (
        """DROP INDEX video_assets_due;
           CREATE INDEX video_assets_due ON video_assets (next_attempt_at)
           WHERE status = 'queued'""",
        {("index", "video_assets.video_assets_due", "different")},
    ),
    "row security disabled": (
        "ALTER TABLE uploads DISABLE ROW LEVEL SECURITY",
        {("row security", "uploads", "different")},
    ),
    "row security not forced": (
        "ALTER TABLE video_assets NO FORCE ROW LEVEL SECURITY",
        {("row security", "video_assets", "different")},
    ),
    "a partition without row security": (
        f"ALTER TABLE {PARTITION} DISABLE ROW LEVEL SECURITY",
        {("partitions", "video_processing_events", "different")},
    ),
    "a partition granted to a login": (
        f"GRANT SELECT ON {PARTITION} TO khronika_public",
        {("partitions", "video_processing_events", "different")},
    ),
    "a partition that can be truncated": (
        f"DROP TRIGGER video_processing_events_no_truncate ON {PARTITION}",
        {("partitions", "video_processing_events", "different")},
    ),
    "a policy dropped": (
        "DROP POLICY khronika_api_owner ON uploads",
        {("policy", "uploads.khronika_api_owner", "missing")},
    ),
    "a policy that lets everything through": (
        "ALTER POLICY khronika_api_owner ON video_assets USING (true)",
        {("policy", "video_assets.khronika_api_owner", "different")},
    ),
    "a policy added": (
        "CREATE POLICY everyone ON video_assets FOR SELECT USING (true)",
        {("policy", "video_assets.everyone", "unexpected")},
    ),
    "a trigger dropped": (
        "DROP TRIGGER video_assets_touch ON video_assets",
        {("trigger", "video_assets.video_assets_touch", "missing")},
    ),
    "a trigger disabled": (
        "ALTER TABLE video_assets DISABLE TRIGGER video_assets_touch",
        {("trigger", "video_assets.video_assets_touch", "different")},
    ),
    "a trigger added": (
        """CREATE TRIGGER again BEFORE INSERT ON video_assets
           FOR EACH ROW EXECUTE FUNCTION khronika_touch()""",
        {("trigger", "video_assets.again", "unexpected")},
    ),
    "a function rewritten": (
        """CREATE OR REPLACE FUNCTION khronika_refuse_change() RETURNS trigger
           LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'""",
        {("function", "khronika_refuse_change()", "different")},
    ),
    "a function dropped": (
        "DROP FUNCTION public_assets(uuid[])",
        {
            ("function", "public_assets(uuid[])", "missing"),
            ("grant", "public_assets(uuid[]).khronika_api", "missing"),
            ("grant", "public_assets(uuid[]).khronika_operator", "missing"),
            ("grant", "public_assets(uuid[]).khronika_public", "missing"),
            ("grant", "public_assets(uuid[]).khronika_worker", "missing"),
        },
    ),
    "a grant widened": (
        "GRANT DELETE ON video_assets TO khronika_api",
        {("grant", "video_assets.khronika_api", "different")},
    ),
    "a grant revoked": (
        "REVOKE ALL ON uploads FROM khronika_operator",
        {("grant", "uploads.khronika_operator", "missing")},
    ),
    "a grant to everybody": (
        "GRANT SELECT ON video_outputs TO PUBLIC",
        {("grant", "video_outputs.PUBLIC", "unexpected")},
    ),
    "a grant of one column": (
        "GRANT SELECT (owner_id) ON video_assets TO khronika_public",
        {("grant", "video_assets.khronika_public", "unexpected")},
    ),
    "everybody may create in the schema": (
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        {("grant", "schema public.PUBLIC", "unexpected")},
    ),
}

# Altering roles so needs a superuser.
ROLE_DRIFT: Mapping[str, tuple[str, Found]] = {
    "a role that bypasses row security": (
        "ALTER ROLE khronika_api BYPASSRLS",
        {("role", "khronika_api", "different")},
    ),
    "a role that is superuser": (
        "ALTER ROLE khronika_operator SUPERUSER",
        {("role", "khronika_operator", "different")},
    ),
    "a role that is a member of another": (
        "GRANT khronika_worker TO khronika_api",
        {("role", "khronika_api", "different")},
    ),
    "a view's role that may log in": (
        "ALTER ROLE khronika_viewer LOGIN",
        {("role", "khronika_viewer", "different")},
    ),
}


@pytest.fixture(scope="module")
def superuser_url(databases: Databases, template: str) -> Iterator[str]:
    """One database for the module: every test rolls back what it did to it."""
    name = f"khronika_catalogue_{os.getpid()}"
    databases.make(name, template=template)
    admin = make_url(databases.admin_url).set(database=name)
    yield admin.render_as_string(hide_password=False)
    databases.drop(name)


def found_after(url: str, statements: str) -> tuple[Found, list[Finding]]:
    """What the check finds in a transaction that changed something and is then rolled back."""
    with entered(url) as connection:
        # Without parameters, psycopg sends several statements at once.
        connection.execution_options(no_parameters=True).exec_driver_sql(statements)
        findings = check_catalogue(connection)
    return {(f.section, f.name, f.difference.value) for f in findings}, findings


@pytest.mark.parametrize(("statements", "expected"), DRIFT.values(), ids=DRIFT.keys())
def test_the_check_names(superuser_url: str, statements: str, expected: Found) -> None:
    assert found_after(superuser_url, statements)[0] == expected


@pytest.mark.parametrize(("statements", "expected"), ROLE_DRIFT.values(), ids=ROLE_DRIFT.keys())
def test_the_check_names_a_role(superuser_url: str, statements: str, expected: Found) -> None:
    with entered(superuser_url) as connection:
        if connection.scalar(text("SHOW is_superuser")) != "on":
            pytest.skip("DATABASE_URL's login is no superuser")

    assert found_after(superuser_url, statements)[0] == expected


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX sites_own ON video_assets (title)",
        "ALTER TABLE video_assets ADD COLUMN sites_own text",
        "CREATE TABLE sites_own (id integer)",
    ],
)
def test_what_a_site_adds_of_its_own_is_no_finding(superuser_url: str, statement: str) -> None:
    assert found_after(superuser_url, statement)[1] == []


@pytest.mark.parametrize("part", ["api", "worker", "operator", "public"])
def test_every_role_can_check(role_urls: Mapping[str, str], part: str) -> None:
    with entered(role_urls[part]) as connection:
        assert check_catalogue(connection) == []


def test_a_finding_says_what_is_and_what_should_be(superuser_url: str) -> None:
    _, findings = found_after(superuser_url, "ALTER TABLE uploads DISABLE ROW LEVEL SECURITY")

    said = "is different: is disabled, forced; intended enabled, forced"
    assert [str(finding) for finding in findings] == [f"row security uploads {said}"]
