"""The transcoder's metrics: of the jobs that it has, and of what its workers have done."""

from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from pipeline.runtime.database import session_of
from tests.integration.transcoder.conftest import TOKEN, Client
from transcoder import job_metrics, store
from transcoder.app import create_app
from transcoder.services import TranscoderServices
from transcoder.settings import load_settings

OWN_TOKEN = "a-token-of-the-metrics"
KNOWN = {metric.name: metric for metric in (*job_metrics.KEPT, *job_metrics.READ)}
RESULT = {"duration_sec": 42.0}


def scraped(client: Client) -> dict[tuple[str, ...], float]:
    answer = client.http.get("/metrics", headers=client.headers)
    assert answer.status_code == 200
    found = {}
    for family in text_string_to_metric_families(answer.get_data(as_text=True)):
        metric = KNOWN[family.name]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels)
            found[sample.name, *(sample.labels[name] for name in sorted(sample.labels))] = (
                sample.value
            )
    return found


def put(client: Client, number: int) -> list[UUID]:
    """Put jobs that no worker takes."""
    return [client.submit(Path("clip.mp4")) for _ in range(number)]


def test_the_queue_of_encodes_has_a_depth_and_an_age(
    client: Client, services: TranscoderServices
) -> None:
    assert scraped(client)["khronika_queue_depth", "transcode"] == 0
    put(client, 3)
    with session_of(services.engine) as session:
        session.execute(
            text("UPDATE transcoder.jobs SET created_at = created_at - interval '90 s'")
        )

    found = scraped(client)
    assert found["khronika_queue_depth", "transcode"] == 3
    assert 90 <= found["khronika_queue_oldest_age_seconds", "transcode"] < 300
    assert found["khronika_scratch_free_bytes",] > 0


def test_a_jobs_steps_and_its_end_are_counted(client: Client, services: TranscoderServices) -> None:
    done, failing, cancelled = put(client, 3)
    with session_of(services.engine) as session:
        lease = store.claim(session, done, 60)
        assert lease is not None
        for step in ("probing", "encoding", "encoding"):
            store.renew(session, lease, step=step, progress=1, lease_sec=60)
        store.complete(session, lease, RESULT)
    with session_of(services.engine) as session:
        lease = store.claim(session, failing, -1)
        assert lease is not None
    assert scraped(client)["khronika_transcode_running",] == 1
    assert scraped(client)["khronika_transcode_lapsed",] == 1
    with session_of(services.engine) as session:
        lease = store.claim(session, failing, 60)
        assert lease is not None
        store.fail(session, lease, {"code": "encode_failed", "message": "", "retryable": False})
    client.delete(cancelled)

    found = scraped(client)
    assert found["khronika_transcode_jobs_total", "", "completed"] == 1
    assert found["khronika_transcode_jobs_total", "encode_failed", "failed"] == 1
    assert found["khronika_transcode_jobs_total", "", "cancelled"] == 1
    assert found["khronika_transcode_takeovers_total",] == 1
    assert found["khronika_transcode_wait_seconds_count",] == 2
    for step in ("downloading", "probing", "encoding"):
        assert found["khronika_transcode_step_seconds_count", step] >= 1
    assert found["khronika_transcode_media_seconds_sum",] == 42
    assert found["khronika_transcode_work_seconds_count", "completed"] == 1
    assert found["khronika_transcode_running",] == 0
    assert {name for name, *_ in found if name in KNOWN} >= {m.name for m in job_metrics.READ}


def test_a_token_opens_the_metrics_and_their_own_one_nothing_else(
    client: Client, services: TranscoderServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.http.get("/metrics").status_code == 401
    monkeypatch.setenv("KHRONIKA_TRANSCODER_METRICS_TOKEN", OWN_TOKEN)
    object.__setattr__(services, "settings", load_settings())
    http = create_app(services).test_client()
    for token, status in ((OWN_TOKEN, 200), (TOKEN, 200), ("wrong", 401)):
        headers = {"Authorization": f"Bearer {token}"}
        assert http.get("/metrics", headers=headers).status_code == status
    job = f"/v1/jobs/{UUID(int=1)}"
    assert http.get(job, headers={"Authorization": f"Bearer {OWN_TOKEN}"}).status_code == 401
