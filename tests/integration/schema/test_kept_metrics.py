"""The kept counters: right at every commit, for any writer, and written by triggers only."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Engine

from pipeline.operations.metric_table import KEPT
from pipeline.records.schema_history import PIPELINE_HISTORY
from pipeline.runtime.database import session_of
from pipeline.runtime.metric_families import kept_counts
from pipeline.runtime.migrate import migrate

CREATE = """
    INSERT INTO video_assets (id, post_id, owner_id, source_url, max_attempts, provider,
        next_attempt_at, deadline_at, last_seq)
    VALUES (%s, gen_random_uuid(), 'alice', 'https://a.example/', 5, 'selfhosted', now(),
        now() + interval '1 day', 1)
"""
CLAIM = """
    UPDATE video_assets SET status = 'processing', attempt_id = gen_random_uuid(),
        next_attempt_at = NULL, attempt = attempt + 1 WHERE id = %s
"""
COMPLETE = """
    UPDATE video_assets SET status = 'completed', deadline_at = NULL, completed_at = now(),
        playable_at = now(), published_output_id = gen_random_uuid() WHERE id = %s
"""
FAIL = """
    UPDATE video_assets SET status = 'failed', deadline_at = NULL, error_code = 'source_corrupt',
        next_attempt_at = NULL WHERE id = %s
"""
RETRY = """
    UPDATE video_assets SET status = 'queued', deadline_at = now(), error_code = NULL,
        next_attempt_at = now() WHERE id = %s
"""
DELETE = "UPDATE video_assets SET deleted_at = now(), deadline_at = NULL WHERE id = %s"

Sums = dict[tuple[str, ...], int]


@contextmanager
def owner(urls: Mapping[str, str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(urls["api"]) as connection:
        connection.execute("SET khronika.user_id = 'alice'")
        yield connection


def created(urls: Mapping[str, str]) -> UUID:
    asset_id = uuid4()
    with owner(urls) as connection:
        connection.execute(CREATE, [asset_id])
    return asset_id


def work(urls: Mapping[str, str], statement: str, *ids: UUID) -> None:
    with psycopg.connect(urls["worker"]) as connection:
        for asset_id in ids:
            connection.execute(statement, [asset_id])


def counted(engines: Mapping[str, Engine], name: str) -> Sums:
    """The sums of a metric's series that are not 0."""
    with session_of(engines["operator"]) as session:
        rows = kept_counts(session).get(name, ())
    sums: Sums = {}
    for row in rows:
        sums[row.labels] = sums.get(row.labels, 0) + row.total
    return {labels: total for labels, total in sums.items() if total}


def test_a_state_is_counted_as_it_is_entered_and_left(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    done, failing, waiting = (created(role_urls) for _ in range(3))
    assert counted(engines, "khronika_assets") == {("queued",): 3}

    work(role_urls, CLAIM, done, failing)
    assert counted(engines, "khronika_provider_jobs") == {("selfhosted",): 2}
    work(role_urls, COMPLETE, done)
    work(role_urls, FAIL, failing)
    assert counted(engines, "khronika_assets") == {
        ("queued",): 1,
        ("completed",): 1,
        ("failed",): 1,
    }
    assert counted(engines, "khronika_provider_jobs") == {}
    assert counted(engines, "khronika_failures") == {("source_corrupt",): 1}

    work(role_urls, RETRY, failing)
    with owner(role_urls) as connection:
        connection.execute("UPDATE video_assets SET deleted_at = now() WHERE id = %s", [waiting])
    assert counted(engines, "khronika_assets") == {("queued",): 1, ("completed",): 1}
    assert counted(engines, "khronika_failures") == {}
    assert counted(engines, "khronika_assets_ended") == {
        ("completed", ""): 1,
        ("failed", "source_corrupt"): 1,
    }


def test_a_hold_is_counted_by_its_reason_while_it_lasts(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    held = created(role_urls)
    for reason in ("provider_down", "spend_guard"):
        work(role_urls, f"UPDATE video_assets SET hold_reason = '{reason}' WHERE id = %s", held)
        assert counted(engines, "khronika_held_assets") == {(reason,): 1}
    work(role_urls, CLAIM.replace("SET ", "SET hold_reason = NULL, "), held)
    assert counted(engines, "khronika_held_assets") == {}


def test_a_row_that_somebody_removes_is_in_no_state(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    asset_id = created(role_urls)
    with engines["superuser"].begin() as connection:
        connection.exec_driver_sql("DELETE FROM video_assets WHERE id = %s", (asset_id,))
    assert counted(engines, "khronika_assets") == {}


def test_what_is_rolled_back_was_never_counted(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    asset_id = created(role_urls)
    with psycopg.connect(role_urls["worker"]) as connection:
        connection.execute(CLAIM, [asset_id])
        connection.execute("SAVEPOINT later")
        connection.execute(FAIL, [asset_id])
        connection.execute("ROLLBACK TO later")
        connection.execute(COMPLETE, [asset_id])
    with psycopg.connect(role_urls["worker"]) as connection:
        connection.execute(DELETE, [asset_id])
        connection.rollback()

    assert counted(engines, "khronika_assets") == {("completed",): 1}
    assert counted(engines, "khronika_assets_ended") == {("completed", ""): 1}


def test_open_transactions_do_not_wait_for_each_others_counts(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    ids = [created(role_urls) for _ in range(4)]
    connections = [psycopg.connect(role_urls["worker"]) for _ in ids]
    for connection in connections:
        connection.execute("SET lock_timeout = '1s'")
    # Each counts the same series, in another order than its neighbour.
    for statement in (CLAIM, COMPLETE):
        for connection, asset_id in zip(connections, ids, strict=True):
            connection.execute(statement, [asset_id])
        connections.reverse()
        ids.reverse()
    for connection in connections:
        connection.commit()
        connection.close()

    assert counted(engines, "khronika_assets") == {("completed",): 4}
    assert counted(engines, "khronika_time_to_ready_seconds") == {(): 4}


def test_shards_are_no_more_than_the_writers_at_once(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: created(role_urls), range(40)))
        list(pool.map(lambda asset_id: work(role_urls, CLAIM, asset_id), ids))

    assert counted(engines, "khronika_assets") == {("processing",): 40}
    assert counted(engines, "khronika_queue_wait_seconds") == {(): 40}
    with engines["operator"].connect() as connection:
        (shards,) = connection.exec_driver_sql(
            "SELECT count(DISTINCT shard) FROM metric_counts"
        ).one()
    assert shards <= 4


def test_a_writer_that_is_killed_takes_no_committed_count_with_it(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    committed, lost = created(role_urls), created(role_urls)
    connection = psycopg.connect(role_urls["worker"], autocommit=True)
    connection.execute(CLAIM, [committed])
    connection.execute("BEGIN")
    connection.execute(CLAIM, [lost])
    pid = connection.info.backend_pid
    with engines["superuser"].begin() as killer:
        killer.exec_driver_sql("SELECT pg_terminate_backend(%s, 60000)", (pid,))
    connection.close()

    assert counted(engines, "khronika_assets") == {("processing",): 1, ("queued",): 1}
    assert counted(engines, "khronika_queue_wait_seconds") == {(): 1}


ATTEMPT = uuid4()


def test_an_attempt_is_counted_when_it_ends_and_its_stages_are_measured(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    asset_id = created(role_urls)
    with psycopg.connect(role_urls["worker"]) as connection:
        connection.execute(
            """INSERT INTO provider_attempts (id, asset_id, generation, number, provider,
                   created_at, intended_at, submitted_at)
               VALUES (%s, %s, 1, 1, 'selfhosted', now() - interval '100 s',
                   now() - interval '97 s', now() - interval '96 s')""",
            [ATTEMPT, asset_id],
        )
    assert counted(engines, "khronika_attempts") == {}

    work(
        role_urls,
        "UPDATE provider_attempts SET outcome = 'failed', error_code = 'bad' WHERE id = %s",
        ATTEMPT,
    )
    assert counted(engines, "khronika_attempts") == {("selfhosted", "failed", "bad"): 1}
    with session_of(engines["operator"]) as session:
        stages = {
            row.labels[0]: (row.le, row.labels[1:])
            for row in kept_counts(session)["khronika_stage_duration_seconds"]
        }
    whose = ("selfhosted", "failed")
    assert stages == {"prepare": (5, whose), "submit": (1, whose), "process": (120, whose)}

    # An attempt that succeeds after all is not another one: its stages are not measured again.
    late = "UPDATE provider_attempts SET outcome = 'completed', error_code = NULL WHERE id = %s"
    work(role_urls, late, ATTEMPT)
    assert counted(engines, "khronika_attempts") == {
        ("selfhosted", "failed", "bad"): 1,
        ("selfhosted", "completed", ""): 1,
    }
    assert sum(counted(engines, "khronika_stage_duration_seconds").values()) == 3


def test_a_callback_is_counted_when_it_comes_and_when_it_is_settled(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    with owner(role_urls) as connection:
        for number, (status, reason) in enumerate([("new", None), ("dead", "unreadable")]):
            connection.execute(
                """INSERT INTO webhook_deliveries (id, provider, event_id, headers, body,
                       body_sha256, digest, status, reason)
                   VALUES (gen_random_uuid(), 'selfhosted', %s, '{}', '', '', '', %s, %s)""",
                [str(number), status, reason],
            )
    with psycopg.connect(role_urls["worker"]) as connection:
        connection.execute("UPDATE webhook_deliveries SET tries = 1 WHERE status = 'new'")
        connection.execute("UPDATE webhook_deliveries SET status = 'applied' WHERE status = 'new'")

    assert counted(engines, "khronika_callbacks") == {
        ("selfhosted", "stored"): 1,
        ("selfhosted", "unreadable"): 1,
        ("selfhosted", "applied"): 1,
    }
    assert counted(engines, "khronika_callback_lag_seconds") == {("selfhosted",): 1}


def test_the_time_to_ready_is_that_of_the_first_generation(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    asset_id = created(role_urls)
    for statement in (CLAIM, COMPLETE, RETRY.replace("SET ", "SET generation = 2, "), CLAIM):
        work(role_urls, statement, asset_id)
    work(role_urls, COMPLETE.replace("playable_at = now(), ", ""), asset_id)

    assert counted(engines, "khronika_assets_ended") == {("completed", ""): 2}
    assert counted(engines, "khronika_time_to_ready_seconds") == {(): 1}
    assert counted(engines, "khronika_time_to_playable_seconds") == {(): 1}


FORGERIES = (
    "UPDATE metric_counts SET total = 0",
    "DELETE FROM metric_counts",
    "INSERT INTO metric_counts VALUES ('khronika_assets', '{queued}', 0, 0, 1, 0)",
    "SELECT khronika_count('khronika_assets', '{queued}', 1)",
    "SELECT khronika_add('khronika_assets', '{queued}', 0, 1, 0)",
    "SET ROLE khronika_meter",
)


@pytest.mark.parametrize("part", ["api", "worker", "operator", "public", "transcoder"])
def test_no_login_writes_a_counter_itself(role_urls: Mapping[str, str], part: str) -> None:
    with psycopg.connect(role_urls[part], autocommit=True) as connection:
        for statement in FORGERIES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("part", ["api", "worker", "public", "transcoder"])
def test_only_operators_read_the_counters(role_urls: Mapping[str, str], part: str) -> None:
    with (
        psycopg.connect(role_urls[part]) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT FROM metric_counts")


def test_the_names_labels_and_buckets_are_those_of_the_table(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    """Every function of the migration is asked for its metrics and its buckets."""
    with engines["owner"].connect() as connection:
        sources = connection.exec_driver_sql(
            "SELECT prosrc FROM pg_proc WHERE proowner = 'khronika_meter'::regrole"
        ).scalars()
        text = "\n".join(sources)
    for metric in KEPT:
        assert f"'{metric.name}'" in text
        if metric.buckets:
            bounds = ", ".join(f"{bound:g}" for bound in metric.buckets)
            assert f"ARRAY[{bounds}]" in text


def test_a_database_with_videos_begins_with_their_number(
    role_urls: Mapping[str, str], engines: Mapping[str, Engine]
) -> None:
    held, failing, gone = (created(role_urls) for _ in range(3))
    work(role_urls, "UPDATE video_assets SET hold_reason = 'spend_guard' WHERE id = %s", held)
    work(role_urls, CLAIM, failing)
    work(role_urls, FAIL, failing)
    work(role_urls, DELETE, gone)

    migrate(PIPELINE_HISTORY, role_urls["owner"], "0020")
    migrate(PIPELINE_HISTORY, role_urls["owner"])

    assert counted(engines, "khronika_assets") == {("queued",): 1, ("failed",): 1}
    assert counted(engines, "khronika_failures") == {("source_corrupt",): 1}
    assert counted(engines, "khronika_held_assets") == {("spend_guard",): 1}
    assert counted(engines, "khronika_events") == {}
