"""What operators look at is served by an index and read in order, however many rows there are."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.orm import Session

from cli.database_logins import ROLES, login_url
from pipeline.lifecycle.bulk_retry import BATCH
from pipeline.operations import (
    console_audit,
    console_failed,
    console_inbox,
    console_overview,
    console_search,
)
from pipeline.operations import console_timeline as chronicle
from pipeline.records.queries import PageCursor
from pipeline.runtime.database import make_engine
from tests.shared_run import Databases

MANY = 20_000
BUSY = UUID(int=1)
"""The id of a video with ten thousand events and as many callbacks."""

FILL = (
    f"""INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider, status,
            published_output_id, error_code, completed_at, created_at, updated_at)
        SELECT ('00000000-0000-0000-0000-' || lpad(to_hex(n), 12, '0'))::uuid, gen_random_uuid(),
            'owner-' || n % 500, 'https://v.example/', 5, 'account-' || n % 3,
            CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'completed' END::video_processing_status,
            gen_random_uuid(), CASE WHEN n % 10 = 0 THEN 'code-' || n % 40 END,
            CASE WHEN n % 10 > 0 THEN now() - n * interval '1 minute' END,
            now() - n * interval '2 minutes', now() - n * interval '1 minute'
        FROM generate_series(1, {MANY}) n""",
    f"""INSERT INTO video_processing_events (asset_id, seq, type, from_status, to_status, actor,
            generation, attempt, provider, provider_event_id)
        SELECT '{BUSY}', n, 'claimed', 'queued',
            CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'processing' END::video_processing_status,
            'worker', 1, n / 10, 'account-0', 'evt-' || n
        FROM generate_series(1, 10000) n""",
    f"""INSERT INTO audit_events (type, actor, source)
        SELECT 'retry', CASE WHEN n % 50 = 0 THEN 'operator:' || n % 7 ELSE 'provider:x' END, 'here'
        FROM generate_series(1, {MANY}) n""",
)
FILL_AS_WORKER = (
    """INSERT INTO provider_attempts (id, asset_id, generation, number, provider, provider_job_id,
            outcome, created_at)
       SELECT gen_random_uuid(), id, 1, 1, provider, 'job-' || id, 'failed', updated_at
       FROM video_assets""",
)
FILL_AS_API = (
    f"""INSERT INTO webhook_deliveries (id, provider, event_id, headers, body, body_sha256, status)
        SELECT gen_random_uuid(), 'account-0', 'evt-' || n, '{{}}', '', '',
            CASE WHEN n % 100 = 0 THEN 'dead' ELSE 'new' END
        FROM generate_series(1, {MANY}) n""",
)
SETTLE = (
    """UPDATE webhook_deliveries
       SET received_at = now() - substr(event_id, 5)::integer * interval '1 second'""",
    f"""UPDATE webhook_deliveries SET asset_id = '{BUSY}', status = 'applied'
        WHERE status = 'new'""",
)


@pytest.fixture(scope="module")
def console(
    databases: Databases, template: str, credentials: Mapping[str, str]
) -> Iterator[Engine]:
    """The operators' login of a database that is filled once, and that nothing here changes."""
    name = "khronika_console_plans"
    url = databases.make(name, template=template)
    engines = {
        part: make_engine(login_url(url, role, credentials[f"{part}_password"]))
        for part, role in ROLES.items()
        if part != "transcoder"
    } | {"owner": make_engine(url), "superuser": make_engine(databases.admin_url_of(name))}
    for part, statements in (
        ("superuser", FILL),
        ("worker", FILL_AS_WORKER),
        ("superuser", FILL_AS_API),
        ("superuser", SETTLE),
    ):
        with engines[part].begin() as connection:
            if part == "superuser":  # who needs no chain, and no place in it
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                connection.execute(text(statement))
    # As autovacuum leaves them: an index alone answers only for pages it knows to be visible.
    with engines["owner"].connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
    yield engines["operator"]
    for engine in engines.values():
        engine.dispose()
    databases.drop(name)


def plans_of(connection: Connection, read: Callable[[Session], Any]) -> list[str]:
    """Read, then ask the planner about every statement that was sent for it."""
    sent: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        sent.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    with Session(connection) as session:
        read(session)
    event.remove(connection, "before_cursor_execute", note)
    return [
        "\n".join(line for (line,) in connection.exec_driver_sql(f"EXPLAIN {asked}", values))
        for asked, values in sent
    ]


NOW = datetime.now(UTC)
SOMEWHERE = PageCursor(NOW - timedelta(days=3), uuid4())
OF_CODE = console_failed.FailedFilter(code="code-20", until=NOW)
OF_ACCOUNT = console_failed.FailedFilter(
    provider="account-1", since=NOW - timedelta(days=1), until=NOW
)

SORT = "Sort  (cost"
"""A node that sorts; merging partitions that are in order names its key, too."""

PAGES: Mapping[str, tuple[Callable[[Session], Any], str]] = {
    "all that failed": (
        lambda s: console_failed.page(
            s, console_failed.FailedFilter(until=NOW), before=SOMEWHERE, limit=50
        ),
        "video_assets_status_updated",
    ),
    "those of an account": (
        lambda s: console_failed.page(s, OF_ACCOUNT, before=None, limit=BATCH),
        "video_assets_status_updated",
    ),
    "those of a code": (
        lambda s: console_failed.page(s, OF_CODE, before=SOMEWHERE, limit=50),
        "video_assets_failed",
    ),
    "deliveries of a status": (
        lambda s: console_inbox.page(
            s,
            console_inbox.StatusFilter("dead", "account-0"),
            before=console_inbox.InboxCursor(*SOMEWHERE),
            limit=50,
        ),
        "webhook_deliveries_received",
    ),
    "deliveries of a video": (
        lambda s: console_inbox.page(s, console_inbox.AssetFilter(BUSY), before=None, limit=20),
        "webhook_deliveries_asset",
    ),
    "what operators did": (
        lambda s: console_audit.page(s, console_audit.AuditFilter(), before=15_000, limit=50),
        "audit_events_operators",
    ),
    "what one of them did": (
        lambda s: console_audit.page(
            s, console_audit.AuditFilter(actor="operator:3"), before=None, limit=50
        ),
        "audit_events_actor",
    ),
    "all of the audit": (
        lambda s: console_audit.page(
            s, console_audit.AuditFilter(everything=True), before=15_000, limit=50
        ),
        "audit_events_pkey",
    ),
}


@pytest.mark.parametrize(("read", "index"), PAGES.values(), ids=PAGES.keys())
def test_a_page_is_read_from_its_index_in_order(
    console: Engine, read: Callable[[Session], Any], index: str
) -> None:
    with console.connect() as connection:
        [plan] = plans_of(connection, read)
    assert index in plan
    assert "Seq Scan" not in plan
    assert SORT not in plan


FIGURES: Mapping[str, tuple[Callable[[Session], Any], str]] = {
    "groups of an account": (
        lambda s: console_failed.groups(
            s, console_failed.FailedFilter(provider="account-1", until=NOW)
        ),
        "video_assets_failed",
    ),
    "how many of a code": (lambda s: console_failed.count(s, OF_CODE), "video_assets_failed"),
    "time to ready": (console_overview.time_to_ready, "video_assets_completed"),
    "how videos ended": (console_overview.endings, "video_assets_status_updated"),
    "attempts of the hour": (console_overview.attempt_outcomes, "provider_attempts_created"),
    "what is held": (console_overview.held_videos, "video_assets_held"),
    "how many are dead": (lambda s: console_inbox.count(s, "dead"), "webhook_deliveries_received"),
    "a job at a provider": (lambda s: console_search.find(s, "job-7"), "provider_attempts_job"),
}


@pytest.mark.parametrize(("read", "index"), FIGURES.values(), ids=FIGURES.keys())
def test_a_figure_is_read_from_its_index(
    console: Engine, read: Callable[[Session], Any], index: str
) -> None:
    with console.connect() as connection:
        plan = "\n".join(plans_of(connection, read))
    assert index in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("window", [chronicle.Window(), chronicle.Window(before=5000)])
@pytest.mark.parametrize("failures_only", [False, True])
def test_a_page_of_ten_thousand_events_is_read_by_their_number(
    console: Engine, window: chronicle.Window, *, failures_only: bool
) -> None:
    with console.connect() as connection:
        plans = plans_of(
            connection,
            lambda session: chronicle.timeline(
                session, BUSY, window, failures_only=failures_only, limit=20
            ),
        )
    assert SORT not in plans[0]
    for plan in plans:
        # The partitions of months to come are empty, and an empty table is read as it is.
        month = f"video_processing_events_{NOW:%Y_%m}"
        assert f"Seq Scan on {month}" not in plan
    assert len(plans) == 4
