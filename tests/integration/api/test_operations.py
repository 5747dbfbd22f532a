"""Health, figures, documents, and what every answer has in common."""

import errno
import importlib
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import make_url, text, update

from api.monitoring.prometheus import READINGS
from pipeline.operations.metric_table import BY_NAME, READY_BUCKETS_SEC
from pipeline.records.clock import from_now
from pipeline.records.models import Asset
from pipeline.runtime.database import make_engine, session_of
from tests.integration.api.conftest import Client, World


def test_a_process_that_answers_is_healthy(api: Client) -> None:
    assert api.get("/healthz", as_=None).json() == {"status": "ok"}


def test_it_is_ready_when_everything_is_there(api: Client) -> None:
    answer = api.get("/readyz", as_=None)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "status": "ready",
            "checks": {"database": "ok", "migrations": "ok", "storage": "ok", "broker": "ok"},
        },
    )


def test_it_stays_ready_while_an_upgrade_has_migrated_and_not_replaced_it_yet(
    api: Client, postgres_url: str
) -> None:
    owner = make_engine(postgres_url)
    with owner.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    owner.dispose()
    answer = requests.get(f"{api.url}/readyz", timeout=60)
    assert (answer.status_code, answer.json()["checks"]["migrations"]) == (200, "ok")


def test_it_is_not_ready_while_migrations_are_missing(api: Client, postgres_url: str) -> None:
    owner = make_engine(postgres_url)
    with owner.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    owner.dispose()
    answer = requests.get(f"{api.url}/readyz", timeout=60)
    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"].startswith("at 0001, needs ")


def test_it_is_not_ready_without_its_database_but_stays_healthy(
    api: Client, postgres_url: str, databases: Any
) -> None:
    databases.drop(make_url(postgres_url).database)
    answer = requests.get(f"{api.url}/readyz", timeout=60)
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "OperationalError")
    assert api.get("/healthz", as_=None).status_code == 200


def test_it_is_not_ready_when_nothing_can_be_stored(api: Client) -> None:
    root = Path(urlsplit(api.services.settings.storage.url).path)
    shutil.rmtree(root)
    root.write_text("a file where a folder should be")
    answer = requests.get(f"{api.url}/readyz", timeout=60)
    assert answer.status_code == 503
    assert answer.json()["checks"]["storage"] != "ok"


def test_a_storage_that_is_not_mounted_raises_an_alarm_and_is_not_written_to(api: Client) -> None:
    root = Path(urlsplit(api.services.settings.storage.url).path)
    root.rename(root.with_name("unmounted"))
    root.mkdir()

    answer = requests.get(f"{api.url}/readyz", timeout=60)

    assert (answer.status_code, answer.json()["checks"]["storage"]) == (503, "StorageAway")
    found = scraped(api)
    assert found["khronika_storage_up",] == 0
    assert found["khronika_held_assets", "storage_unavailable"] == 0
    assert list(root.iterdir()) == []


def test_a_disk_that_is_full_is_no_mistake_of_the_sender(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = api.post("/api/uploads", {**UPLOAD, "post_id": str(uuid4())}).json()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(api.services.storage, "put_part", full)
    path = f"/api/uploads/{issued['upload_id']}/content"
    answer = api.call("PUT", path, as_=None, headers=issued["headers"], data=b"x")
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")


def test_no_request_succeeds_without_the_database(
    api: Client, postgres_url: str, databases: Any
) -> None:
    post_id = api.create().json()["post_id"]
    databases.drop(make_url(postgres_url).database)
    for answer in (
        api.create(),
        api.get(f"/api/video-assets/{post_id}"),
        api.get(f"/api/video-assets/{post_id}/playback", as_=None),
        api.operator("GET", "/api/video-assets?status=failed"),
        api.post("/api/uploads", {**UPLOAD, "post_id": post_id}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["retryable"] is True


UPLOAD = {"filename": "a.mp4", "size_bytes": 1, "mime_type": "video/mp4"}


def scraped(api: Client) -> dict[tuple[str, ...], float]:
    answer = api.get("/metrics", as_=None)
    assert answer.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_figures_are_what_the_tables_hold(api: Client, world: World) -> None:
    ready = [api.create().json()["id"] for _ in range(3)]
    for asset_id in ready:
        world.complete(asset_id)
    failed = api.create().json()["id"]
    world.fail(failed, "source_corrupt")
    waiting = api.create().json()["id"]
    with session_of(world.engine) as session:
        session.execute(
            update(Asset)
            .where(Asset.id == waiting)
            .values(next_attempt_at=text("now() - interval '90 seconds'"))
        )
    for _ in range(2):
        held = api.create().json()["id"]
        world.amend(held, hold_reason="spend_guard", next_attempt_at=from_now(900))
    with session_of(world.engine) as session:
        session.execute(
            text("""
                INSERT INTO provider_spend (provider, hour, assets, media_sec)
                VALUES ('selfhosted', date_trunc('hour', now(), 'UTC'), 4, 90),
                       ('former', date_trunc('hour', now(), 'UTC') - interval '1 hour', 3, 80)
            """)
        )
        session.execute(
            text("""
                INSERT INTO provider_breakers (provider, failures, opened_at, probe_at)
                VALUES ('selfhosted', 5, now(), now())
            """)
        )
    found = scraped(api)
    assert found["khronika_held_assets", "spend_guard"] == 2
    assert found["khronika_held_assets", "awaiting_enqueue"] == 0
    assert found["khronika_provider_spend_assets", "selfhosted"] == 4
    assert found["khronika_provider_spend_media_seconds", "selfhosted"] == 90
    assert ("khronika_provider_spend_assets", "former") not in found
    assert found["khronika_provider_breaker_open", "selfhosted"] == 1
    assert found["khronika_assets", "completed"] == 3
    assert found["khronika_assets", "failed"] == 1
    assert found["khronika_assets", "retrying"] == 0
    assert found["khronika_failures", "source_corrupt"] == 1
    assert found["khronika_assets_ended_total", "source_corrupt", "failed"] == 1
    assert found["khronika_assets_ended_total", "", "completed"] == 3
    assert found["khronika_events_total", "", "selfhosted", "created"] == 7
    assert found["khronika_time_to_playable_seconds_count",] == 3
    assert found["khronika_queue_wait_seconds_count",] == 3
    assert found["khronika_time_to_ready_seconds_count",] == 3
    assert found["khronika_time_to_ready_seconds_bucket", "5.0"] == 0
    assert found["khronika_time_to_ready_seconds_bucket", "10.0"] == 3
    assert found["khronika_time_to_ready_seconds_bucket", "+Inf"] == 3
    assert found["khronika_time_to_ready_seconds_sum",] == pytest.approx(24, abs=3)
    assert found["khronika_queue_depth", "submit"] == 1
    assert 90 <= found["khronika_queue_oldest_age_seconds", "submit"] < 120
    assert found["khronika_queue_depth", "reconcile"] == 0
    assert found["khronika_broker_messages", "submit"] == 7
    assert found["khronika_broker_up",] == 1
    assert found["khronika_figures_missing",] == 0


def test_exactly_the_metrics_of_the_table_are_exported(api: Client) -> None:
    asset_id = api.create().json()["id"]
    exported = {
        family.name: family
        for family in text_string_to_metric_families(api.get("/metrics", as_=None).text)
        if family.name.startswith("khronika_")
    }

    assert exported.keys() == BY_NAME.keys()
    for name, family in exported.items():
        metric = BY_NAME[name]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        bounds = {float(each.labels["le"]) for each in family.samples if "le" in each.labels}
        assert bounds in (set(), {*metric.buckets, float("inf")})
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels)
            assert asset_id not in sample.labels.values()
    assert len(exported["khronika_time_to_ready_seconds"].samples) == len(READY_BUCKETS_SEC) + 3


def test_requests_are_timed_by_route_and_never_by_path(api: Client) -> None:
    post_id = api.create().json()["post_id"]
    api.get(f"/api/video-assets/{post_id}")
    api.get(f"/nowhere/{post_id}")
    requests.request("BREW", f"{api.url}/healthz", timeout=60)
    routes = {
        key[1:] for key in scraped(api) if key[0] == "khronika_http_request_duration_seconds_count"
    }
    assert ("200", "GET", "/api/video-assets/<uuid:post_id>") in routes
    assert ("404", "GET", "unmatched") in routes
    assert not [key for key in routes if post_id in "".join(key)]
    assert not [key for key in routes if "BREW" in key]


def test_figures_that_cannot_be_read_are_left_out_and_counted(
    api: Client, postgres_url: str, databases: Any
) -> None:
    databases.drop(make_url(postgres_url).database)
    found = scraped(api)
    assert found["khronika_figures_missing",] == len(READINGS) + 1
    assert ("khronika_assets", "failed") not in found


def test_the_description_is_valid_openapi_3_1_of_exactly_these_routes(api: Client) -> None:
    spec = api.get("/openapi.json", as_=None).json()
    assert spec["openapi"] == "3.1.0"
    validate = importlib.import_module("openapi_spec_validator").validate  # takes 3 s of CPU
    validate(spec)
    offered = {f"{m.upper()} {path}" for path, ops in spec["paths"].items() for m in ops}
    assert offered == {
        "POST /api/video-assets/create",
        "POST /api/video-assets/retry",
        "POST /api/video-assets/{post_id}/cancel",
        "POST /api/video-assets/{post_id}/reencode",
        "DELETE /api/video-assets/{post_id}",
        "POST /api/video-assets/webhook",
        "POST /api/video-assets/webhook/{provider}",
        "GET /api/video-assets",
        "GET /api/video-assets/{post_id}",
        "GET /api/video-assets/{post_id}/events",
        "GET /api/video-assets/{post_id}/playback",
        "GET /api/video-assets/stream",
        "POST /api/stream-tickets",
        "GET /api/providers",
        "POST /api/providers/{name}/state",
        "POST /api/uploads",
        "GET /api/uploads/{upload_id}",
        "DELETE /api/uploads/{upload_id}",
        "PUT /api/uploads/{upload_id}/content",
        "POST /api/uploads/{upload_id}/parts",
        "PUT /api/uploads/{upload_id}/parts/{number}",
        "POST /api/uploads/{upload_id}/parts/{number}",
        "POST /api/uploads/{upload_id}/complete",
        "GET /media/{token}/{key}",
        "GET /media/videos/{asset_id}/{name}",
        "GET /media/{token}/videos/{asset_id}/{name}",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


def test_every_error_it_describes_is_a_problem(api: Client) -> None:
    spec = api.get("/openapi.json", as_=None).json()
    for operations in spec["paths"].values():
        for operation in operations.values():
            for code, response in operation["responses"].items():
                assert response["description"]
                if int(code) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]


def test_it_says_of_each_route_what_authority_it_needs(api: Client) -> None:
    spec = api.get("/openapi.json", as_=None).json()
    ids = {
        "post_id": str(uuid4()),
        "upload_id": str(uuid4()),
        "asset_id": str(uuid4()),
        "number": "1",
        "name": "selfhosted",
        "provider": "selfhosted",
    }
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            answer = api.call(method, path.format_map({"token": "x", "key": "y", **ids}), as_=None)
            needed = [name for choice in operation.get("security", [{}]) for name in choice]
            closed = {"bearer", "callback"} & set(needed) and {} not in operation["security"]
            assert (answer.status_code == 401) is bool(closed), (method, path)


def test_every_success_it_describes_has_a_body_that_is_named_once(api: Client) -> None:
    spec = api.get("/openapi.json", as_=None).json()
    assert not [name for name in spec["components"]["schemas"] if "." in name]
    create = spec["paths"]["/api/video-assets/create"]["post"]["responses"]
    for code in ("200", "202"):
        schema = create[code]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/AssetOut"}


def test_the_documents_for_people_load_nothing_from_elsewhere(api: Client) -> None:
    page = api.get("/docs", as_=None)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "/api/video-assets/create" in page.text
    assert "CreateBody" in page.text
    for outside in ("http://", "https://", "//cdn", "<script"):
        assert outside not in page.text.replace("https://json-schema.org", "")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/static/x", 404, "not_found"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("GET", "/api/video-assets/create", 405, "method_not_allowed"),
        ("POST", f"/api/video-assets/{UUID(int=1)}/nothing", 404, "not_found"),
    ],
)
def test_what_the_framework_refuses_is_a_problem_too(
    api: Client, method: str, path: str, status: int, code: str
) -> None:
    answer = api.call(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 405:
        assert answer.headers["Allow"]


def test_a_mistake_of_ours_is_a_problem_without_details(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("password=hunter2")

    monkeypatch.setattr("pipeline.records.queries.asset_of_post", fail)
    answer = api.get(f"/api/video-assets/{uuid4()}")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text


def test_a_request_id_is_taken_over_if_it_is_one(api: Client) -> None:
    given = api.get("/healthz", headers={"X-Request-Id": "abc-123"})
    assert given.headers["X-Request-Id"] == "abc-123"
    for strange in ("a b", "x" * 129, 'a"b', "ä"):
        made = requests.get(
            f"{api.url}/healthz", headers={"X-Request-Id": strange.encode()}, timeout=60
        )
        assert made.headers["X-Request-Id"].isalnum()
        assert made.headers["X-Request-Id"] != strange


def test_only_listed_sites_may_call_from_a_page(api: Client) -> None:
    for origin, allowed in (("https://site.example", True), ("https://evil.example", False)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = api.call("OPTIONS", "/api/video-assets/create", as_=None, headers=asked)
        assert answer.status_code == 200
        assert ("Access-Control-Allow-Origin" in answer.headers) is allowed
        assert ("Access-Control-Allow-Headers" in answer.headers) is allowed
        assert "Origin" in answer.headers["Vary"]


def test_a_page_may_read_the_headers_it_needs_of_errors_too(api: Client) -> None:
    answer = api.create(as_=None, headers={"Origin": "https://site.example"})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == "https://site.example"
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
