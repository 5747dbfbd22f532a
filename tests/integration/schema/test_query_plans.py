"""Every query that runs again and again is served by the index made for it.

Asked of the planner over a table with the statistics of real use: nearly everything is done, and
what is due is a handful.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.orm import Session

from api.monitoring.prometheus import READINGS, _accounts
from cli.database_logins import ROLES, login_url
from pipeline.domain.hold_reasons import PROVIDER_DOWN
from pipeline.domain.prices import Prices
from pipeline.domain.routing import AccountState
from pipeline.domain.states import Status
from pipeline.domain.values import SpendLimits
from pipeline.limits import account_holds, held_assets, owner_quotas, owner_share, spend_guard
from pipeline.operations import metrics
from pipeline.operations.backfill import _held_by_post
from pipeline.providers.account_terms import AccountTerms
from pipeline.records import account_states, due, queries, releases
from pipeline.records.models import Asset
from pipeline.records.queue_position import queue_places
from pipeline.records.site_posts import Post
from pipeline.runtime.database import make_engine
from tests.shared_run import Databases

DONE = 20_000
Query = Callable[[Session], Any]

POST = uuid4()

QUERIES: Mapping[str, tuple[str, Query, str]] = {
    "due assets": (
        "worker",
        lambda session: due.waiting_assets(session, grace_sec=15),
        "video_assets_due",
    ),
    "lapsed leases": ("worker", due.lapsed_leases, "video_assets_lease"),
    "late callbacks": ("worker", due.late_callbacks, "video_assets_poll"),
    "deadlines": ("worker", due.past_deadlines, "video_assets_deadline"),
    "unread deliveries": (
        "worker",
        lambda session: due.unread_deliveries(session, grace_sec=15),
        "webhook_deliveries_unread",
    ),
    "unpaid releases": (
        "worker",
        lambda session: due.unpaid_releases(session, ["selfhosted"]),
        "provider_attempts_debt",
    ),
    "discarded attempts": ("worker", due.discarded_attempts, "provider_attempts_purge"),
    "deleted assets": (
        "worker",
        lambda session: due.deleted_assets(session, keep_sec=60),
        "video_assets_purge",
    ),
    "abandoned uploads": ("worker", due.abandoned_uploads, "uploads_expiry"),
    "uploads nobody made a video of": (
        "worker",
        lambda session: due.unclaimed_uploads(session, keep_sec=60),
        "uploads_unclaimed",
    ),
    "expired keys": ("worker", due.prune_idempotency_keys, "idempotency_keys_expiry"),
    "old days of owners": ("worker", owner_quotas.prune, "owner_usage_day"),
    "sources of an owner that are read": (
        "worker",
        lambda session: owner_share.count_being_read(session, "owner-1"),
        "video_assets_lease",
    ),
    "the next video of an owner": (
        "worker",
        lambda session: owner_share.next_of_owner(session, "owner-1"),
        "video_assets_owner_due",
    ),
    "what an account holds back": (
        "worker",
        lambda session: spend_guard.release_held(session, "selfhosted", SpendLimits(500, 60)),
        "video_assets_held",
    ),
    "what a breaker holds back": (
        "worker",
        lambda session: session.execute(
            held_assets.END_HOLDS,
            {"hold_reason": PROVIDER_DOWN, "provider": "selfhosted", "batch": due.BATCH},
        ),
        "video_assets_held",
    ),
    "what an enabled account lets go on": (
        "operator",
        lambda session: account_holds.end_holds(session, "selfhosted", AccountState.ENABLED),
        "video_assets_held",
    ),
    "the line of a drained account": (
        "operator",
        lambda session: account_holds.end_holds(session, "selfhosted", AccountState.DRAIN),
        "video_assets_held",
    ),
    "releases owed by accounts": ("operator", releases.owed_by_account, "provider_attempts_debt"),
    "jobs of accounts": (
        "operator",
        lambda session: account_states.jobs_under_way(session, ["selfhosted"]),
        "video_assets_deadline",
    ),
    "jobs that accounts were given on probation": (
        "worker",
        lambda session: account_states.trials_under_way(session, {"selfhosted": datetime.now(UTC)}),
        "provider_attempts_pkey",
    ),
    "an account's unread callback": (
        "worker",
        lambda session: due.has_unread_delivery(session, "selfhosted", datetime.now(UTC)),
        "webhook_deliveries_unread",
    ),
    "a reservation": (
        "worker",
        lambda session: spend_guard.reserve(session, "selfhosted", 60.0, SpendLimits(500, 60)),
        "provider_spend_pkey",
    ),
    "what an attempt measured": (
        "worker",
        lambda session: spend_guard.book_measured(session, uuid4(), 60.0),
        "provider_attempts_pkey",
    ),
    "an owner's asset": (
        "operator",
        lambda session: session.scalars(
            select(Asset).where(Asset.post_id == POST, Asset.deleted_at.is_(None))
        ).all(),
        "video_assets_post_live",
    ),
    "a card": (
        "operator",
        lambda session: queries.card_of_post(session, POST),
        "video_assets_post_live",
    ),
    "the operators' list": (
        "operator",
        lambda session: queries.assets_in_status(session, Status.COMPLETED, before=None, limit=50),
        "video_assets_status_updated",
    ),
    "a further page of the operators' list": (
        "operator",
        lambda session: queries.assets_in_status(
            session,
            Status.COMPLETED,
            before=queries.PageCursor(datetime.now(UTC), uuid4()),
            limit=50,
        ),
        "video_assets_status_updated",
    ),
    "stuck assets": ("operator", metrics.stuck_assets, "video_assets_deadline"),
    "unsettled callbacks": ("operator", metrics.inbox, "webhook_deliveries_unread"),
    "backlogs": ("operator", metrics.backlogs, "video_assets_due"),
    "posts of a backfill": (
        "operator",
        lambda session: _held_by_post(session, [Post(uuid4(), None, "") for _ in range(20)]),
        "video_assets_post_live",
    ),
}

FILL = (
    f"""INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider, status,
            published_output_id, completed_at, updated_at, deadline_at)
        SELECT gen_random_uuid(), gen_random_uuid(), 'owner-' || n % 500, 'https://v.example/' || n,
            5, 'selfhosted', 'completed', gen_random_uuid(), now() - n * interval '1 minute',
            now() - n * interval '1 minute', NULL
        FROM generate_series(1, {DONE}) n""",
    """INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider, status,
            error_code, attempt_id, next_attempt_at, next_poll_at, lease_expires_at, deadline_at)
       SELECT gen_random_uuid(), gen_random_uuid(), 'owner', 'https://v.example/', 5, 'selfhosted',
            status, CASE WHEN status IN ('failed', 'retrying') THEN 'expired' END,
            CASE WHEN status = 'processing' THEN gen_random_uuid() END,
            CASE WHEN status IN ('queued', 'retrying') THEN now() END,
            CASE WHEN status = 'processing' THEN now() END,
            CASE WHEN status = 'processing' THEN now() END,
            CASE WHEN status <> 'failed' THEN now() END
       FROM unnest(enum_range(NULL::video_processing_status)) status, generate_series(1, 20)
       WHERE status <> 'completed'""",
    """INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider, status,
            hold_reason, next_attempt_at, deadline_at)
       SELECT gen_random_uuid(), gen_random_uuid(), 'owner', 'https://v.example/', 5, 'selfhosted',
            'queued', 'spend_guard', now() + interval '1 hour', now() + interval '1 day'
       FROM generate_series(1, 20)""",
    """INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider, status,
            next_attempt_at, deadline_at)
       SELECT gen_random_uuid(), gen_random_uuid(), 'owner-' || n % 500, 'https://v.example/', 5,
            'selfhosted', 'queued', now() + n * interval '1 second', now() + interval '1 day'
       FROM generate_series(1, 5000) n""",
)
FILL_AS_WORKER: tuple[str, ...] = (
    """INSERT INTO provider_attempts (id, asset_id, generation, number, provider, released_at,
            release_requested_at)
       SELECT gen_random_uuid(), id, 1, 1, 'selfhosted', now(), now() FROM video_assets""",
)
FILL_AS_WORKER += (
    """INSERT INTO video_outputs (id, asset_id, generation, attempt_id, manifest_url, renditions,
            duration_sec, width, height)
       SELECT a.published_output_id, a.id, 1, t.id, 'https://v.example/', '[]', 1, 2, 2
       FROM video_assets a JOIN provider_attempts t ON t.asset_id = a.id
       WHERE a.published_output_id IS NOT NULL""",
    """INSERT INTO provider_spend (provider, hour, assets, media_sec)
       SELECT provider, date_trunc('hour', now(), 'UTC') - n * interval '1 hour', 9, 600
       FROM unnest(ARRAY['selfhosted', 'another']) provider, generate_series(0, 840) n""",
    f"""INSERT INTO owner_usage (owner_id, day, assets, bytes, media_sec)
        SELECT 'owner-' || n, current_date, 1, 1, 1 FROM generate_series(1, {DONE}) n""",
)
FILL_AS_API = (
    f"""INSERT INTO webhook_deliveries (id, provider, event_id, headers, body, body_sha256, status)
        SELECT gen_random_uuid(), 'selfhosted', 'evt-' || n, '{{}}', '', '', 'dead'
        FROM generate_series(1, {DONE}) n""",
    f"""INSERT INTO audit_events (type, actor, source, chain_position)
        SELECT 'retry', 'operator:o', CASE WHEN n > {DONE} - 100 THEN 'here' END, n
        FROM generate_series(1, {DONE}) n""",
    f"INSERT INTO audit_chain_ends (name, chain_position, hash) VALUES ('head', {DONE}, '')",
    """UPDATE webhook_deliveries SET emptied_at = now() WHERE event_id NOT LIKE '%00'""",
    """INSERT INTO webhook_deliveries (id, provider, event_id, headers, body, body_sha256,
            next_try_at)
       SELECT gen_random_uuid(), 'selfhosted', 'new-' || n, '{}', '', '', now()
       FROM generate_series(1, 20) n""",
)
FILL_AS_OPERATOR_TOO = (
    f"""INSERT INTO uploads (id, owner_id, post_id, filename, mime_type, size_bytes, storage_key,
            expires_at, completed_at, claimed_at)
        SELECT gen_random_uuid(), 'owner', gen_random_uuid(), 'a.mp4', 'video/mp4', 1, 'k', now(),
            now(), now()
        FROM generate_series(1, {DONE}) n""",
    f"""INSERT INTO idempotency_keys (owner_id, route, key, request_sha256, expires_at)
        SELECT 'owner', 'create', n::text, '', now() + interval '1 day'
        FROM generate_series(1, {DONE}) n""",
)


@pytest.fixture(scope="module")
def filled(
    databases: Databases, template: str, credentials: Mapping[str, str]
) -> Iterator[Mapping[str, Engine]]:
    """One database for the module, filled once; nothing that is tested here is committed."""
    name = "khronika_plans"
    url = databases.make(name, template=template)
    engines = {
        part: make_engine(login_url(url, role, credentials[f"{part}_password"]))
        for part, role in ROLES.items()
        if part != "transcoder"
    } | {"owner": make_engine(url), "superuser": make_engine(databases.admin_url_of(name))}
    for part, statements in (
        ("superuser", (*FILL, *FILL_AS_OPERATOR_TOO)),
        ("worker", FILL_AS_WORKER),
        ("superuser", FILL_AS_API),
        ("owner", ("ANALYZE",)),
    ):
        with engines[part].begin() as connection:
            if part == "superuser":  # who needs no chain, and no place in it
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                connection.execute(text(statement))
    yield engines
    for engine in engines.values():
        engine.dispose()
    databases.drop(name)


def plan_of(connection: Connection, query: Query) -> str:
    """Run the query for what it sends, then ask the planner about exactly that."""
    [(statement, parameters)] = statements_of(connection, query)
    lines = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return "\n".join(line for (line,) in lines)


def statements_of(connection: Connection, query: Query) -> list[tuple[str, Any]]:
    """Run the query, and return what it sends."""
    sent: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        sent.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    with Session(connection) as session:
        query(session)
    event.remove(connection, "before_cursor_execute", note)
    return sent


@pytest.mark.parametrize(("part", "query", "index"), QUERIES.values(), ids=QUERIES.keys())
def test_the_index_is_used_for(
    filled: Mapping[str, Engine], part: str, query: Query, index: str
) -> None:
    with filled[part].connect() as connection:
        plan = plan_of(connection, query)

    assert index in plan
    assert "Seq Scan" not in plan


SCANNED = frozenset(
    {"video_assets", "provider_attempts", "webhook_deliveries", "cache_purges", "uploads"}
)


def test_a_scrape_reads_what_is_due_and_not_what_there_is(filled: Mapping[str, Engine]) -> None:
    accounts = [AccountTerms("selfhosted", "selfhosted", SpendLimits(500, 60), Prices())]
    readings: tuple[Callable[[Session], Iterator[Any]], ...] = (
        *READINGS,
        partial(_accounts, terms=accounts),
    )

    def scrape(session: Session) -> None:
        for reading in readings:
            list(reading(session))

    with filled["operator"].connect() as connection:
        plans = plans_of(connection, scrape)

    read = [rows for plan in plans for rows in rows_read(plan)]
    assert {table for table, _ in read} >= {"video_assets", "webhook_deliveries"}
    assert sum(rows for _, rows in read) < 20 * 10
    assert not [table for table, _ in read if "processing_events" in table]


def plans_of(connection: Connection, query: Query) -> list[Any]:
    """Run every statement of the query again, and return how it was really run."""
    plans = []
    for statement, parameters in statements_of(connection, query):
        (plan,) = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
        ).scalars()
        plans.append(plan[0]["Plan"])
    return plans


def rows_read(node: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The rows of large tables that a plan looked at, also those that it then left out."""
    table = node.get("Relation Name", "")
    if table in SCANNED or "processing_events" in table:
        looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield table, looked_at * node["Actual Loops"]
    for part in node.get("Plans", ()):
        yield from rows_read(part)


@pytest.mark.parametrize("name", ["the operators' list", "a further page of the operators' list"])
def test_a_page_is_read_in_order_and_not_sorted(filled: Mapping[str, Engine], name: str) -> None:
    part, query, _ = QUERIES[name]
    with filled[part].connect() as connection:
        plan = plan_of(connection, query)

    assert "Sort" not in plan


def test_an_owners_feed_is_read_from_its_index_under_row_security(
    filled: Mapping[str, Engine],
) -> None:
    with filled["api"].connect() as connection:
        connection.execute(text("SELECT set_config('khronika.user_id', 'owner-7', true)"))
        plan = plan_of(
            connection,
            lambda session: session.execute(
                text("SELECT * FROM video_assets ORDER BY created_at DESC LIMIT 20")
            ),
        )

    assert "video_assets_owner" in plan
    assert "Seq Scan" not in plan


def test_a_page_of_the_chronicle_is_read_from_the_primary_keys_of_the_partitions(
    filled: Mapping[str, Engine],
) -> None:
    page = text(
        "SELECT * FROM video_processing_events WHERE asset_id = gen_random_uuid() AND seq > 0"
        " ORDER BY seq LIMIT 100"
    )
    with filled["operator"].connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))  # the partitions are empty
        plan = plan_of(connection, lambda session: session.execute(page))

    assert "_pkey" in plan
    assert "Seq Scan" not in plan


def feed(session: Session) -> Any:
    """What ``public_assets`` runs inside, where the planner shows nothing of it."""
    wanted = [uuid4() for _ in range(20)]
    return session.execute(text("SELECT * FROM khronika_cards(:wanted)"), {"wanted": wanted})


@pytest.mark.parametrize(
    ("part", "become", "query"),
    [
        ("owner", "SET LOCAL ROLE khronika_viewer", feed),
        (
            "api",
            "SELECT set_config('khronika.user_id', 'owner-7', true)",
            lambda session: queries.card_of_post(session, POST),
        ),
    ],
    ids=["everybody's feed", "an owner's card"],
)
def test_cards_are_read_from_their_index_under_row_security(
    filled: Mapping[str, Engine], part: str, become: str, query: Query
) -> None:
    with filled[part].connect() as connection:
        connection.execute(text(become))
        plan = plan_of(connection, query)

    assert "video_assets_post_live" in plan
    assert "Seq Scan" not in plan


def test_an_owners_live_assets_are_counted_from_their_index(filled: Mapping[str, Engine]) -> None:
    body = text("SELECT prosrc FROM pg_proc WHERE proname = 'khronika_live_assets'")
    with filled["api"].connect() as connection:
        connection.execute(text("SELECT set_config('khronika.user_id', 'owner-7', true)"))
        source = connection.scalars(body).one()
        [counted] = re.findall(r"RETURN \((.*)\);", source, re.DOTALL)
        asked = counted.replace("= owner ", "= 'owner-7' ")
        plan = plan_of(connection, lambda session: session.execute(text(asked)))

    assert "video_assets_owner_live" in plan
    assert "Seq Scan" not in plan


SCANS = """
    SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'video_assets'
"""


SCANS_OF_OUTPUTS = """
    SELECT relname, seq_scan FROM pg_stat_xact_user_tables
    WHERE relname IN ('video_assets', 'video_outputs', 'provider_attempts')
"""


@pytest.mark.parametrize(
    ("part", "query", "most_rows"),
    [
        ("public", queries.public_cards, 3000),
        ("api", queue_places, 1100),
    ],
    ids=["what all streams of a process follow", "places in the queue"],
)
def test_a_function_that_is_called_every_second_reads_no_table_from_end_to_end(
    filled: Mapping[str, Engine],
    part: str,
    query: Callable[[Session, Sequence[UUID]], Any],
    most_rows: int,
) -> None:
    """What runs inside, as it runs: the planner shows nothing of it."""
    with filled["operator"].connect() as connection:
        posts = connection.scalars(text("SELECT post_id FROM video_assets LIMIT 3000")).all()
    with filled[part].connect() as connection:
        query(Session(connection), posts)
        seq_scans, rows = connection.execute(text(SCANS)).one()

    assert seq_scans == 0
    assert 0 < rows <= most_rows


def test_a_published_output_is_looked_up_by_keys_alone(filled: Mapping[str, Engine]) -> None:
    with filled["operator"].connect() as connection:
        asset_id = connection.scalars(
            text("SELECT id FROM video_assets WHERE status = 'completed' LIMIT 1")
        ).one()
    with filled["public"].connect() as connection:
        assert queries.public_output(Session(connection), asset_id) is not None
        scans = connection.execute(text(SCANS_OF_OUTPUTS)).all()

    assert dict(scans) == {"video_assets": 0, "video_outputs": 0, "provider_attempts": 0}


# A plan of a statement inside a function is not shown: its scans are counted.
RETENTION: Mapping[str, tuple[Query, str]] = {
    "bodies of callbacks": (
        lambda session: due.empty_deliveries(session, days=30),
        "webhook_deliveries",
    ),
    "addresses": (lambda session: due.forget_addresses(session, days=90), "audit_events"),
    "events of the audit": (lambda session: due.prune_audit(session, days=730), "audit_events"),
}


@pytest.mark.parametrize(("remove", "table"), RETENTION.values(), ids=RETENTION.keys())
def test_old_records_are_found_without_reading_the_table(
    filled: Mapping[str, Engine], remove: Query, table: str
) -> None:
    scans = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = :table")
    with filled["worker"].connect() as connection, Session(connection) as session:
        before = session.scalar(scans, {"table": table})
        assert remove(session) == 0
        assert session.scalar(scans, {"table": table}) == before


def test_the_chain_is_extended_without_reading_the_table(filled: Mapping[str, Engine]) -> None:
    scans = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'audit_events'")
    with filled["operator"].connect() as connection:
        before = connection.scalar(scans)
        connection.execute(
            text("INSERT INTO audit_events (type, actor) VALUES ('retry', 'operator:o')")
        )
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        assert connection.scalar(scans) == before
        connection.rollback()
