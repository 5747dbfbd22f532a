"""What the adapter of the transcoder makes of a signed body."""

import json
from copy import deepcopy
from typing import Any
from uuid import UUID

import pytest

from pipeline.domain.values import CallbackEnvelope, Phase
from pipeline.providers.adapters.selfhosted import SelfHosted
from pipeline.providers.base import CallbackUnreadable
from tests.selfhosted_account import selfhosted_account

ID = UUID(int=7)
RESULT = {
    "manifest": "storage:a/master.m3u8",
    "fallback": "storage:a/video.mp4",
    "poster": "storage:a/poster.jpg",
    "thumbnail": "storage:a/thumb.jpg",
    "duration_sec": 5.28,
    "width": 320,
    "height": 180,
    "bytes": 1000,
    "renditions": [{"profile": "240p"}],
}
ERROR = {"code": "encode_failed", "message": "it broke", "retryable": True}
COMPLETED = {"id": str(ID), "status": "completed", "progress": 100, "result": RESULT}
FAILED = {"id": str(ID), "status": "failed", "progress": 40, "error": ERROR}
RUNNING = {"id": str(ID), "status": "running", "progress": 40, "result": None, "error": None}


@pytest.fixture
def adapter() -> SelfHosted:
    return selfhosted_account("http://127.0.0.1:9", token="token", timeout_sec=1)


def body(type_: Any, job: Any) -> CallbackEnvelope:
    return CallbackEnvelope(
        {}, json.dumps({"type": type_, "timestamp": "now", "data": {"job": job}}).encode()
    )


@pytest.mark.parametrize(
    ("type_", "job", "phase"),
    [
        ("job.progress", RUNNING, Phase.RUNNING),
        ("job.progress", RUNNING | {"status": "queued"}, Phase.WAITING),
        ("job.progress", RUNNING | {"status": "cancelled"}, Phase.CANCELLED),
        ("job.completed", COMPLETED, Phase.COMPLETED),
        ("job.failed", FAILED, Phase.FAILED),
    ],
)
def test_each_type_is_read_by_its_own_schema(
    adapter: SelfHosted, type_: str, job: dict[str, Any], phase: Phase
) -> None:
    status = adapter.read_callback(body(type_, job))
    assert status is not None
    assert (status.phase, status.attempt_id, status.provider_job_id) == (phase, ID, str(ID))


@pytest.mark.parametrize("storyboard", ["storage:a/storyboard.vtt", None, ...])
def test_a_storyboard_is_named_where_there_is_one(adapter: SelfHosted, storyboard: Any) -> None:
    job = changed(COMPLETED, "result.storyboard", None)
    job = changed(job, "result.storyboard", storyboard)

    status = adapter.read_callback(body("job.completed", job))

    assert status is not None
    assert status.outputs is not None
    assert status.outputs.storyboard_url == (None if storyboard is ... else storyboard)


def test_a_type_we_do_not_know_means_nothing_to_us(adapter: SelfHosted) -> None:
    assert adapter.read_callback(body("storage.full", "whatever")) is None


def changed(job: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The job with one value in it replaced, or left out where the new one is ``...``."""
    document = deepcopy(job)
    *parents, name = path.split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    if value is ...:
        del inner[name]
    else:
        inner[name] = value
    return document


UNREADABLE = {
    "completed that has failed": ("job.completed", FAILED),
    "failed that has completed": ("job.failed", COMPLETED),
    "completed that runs": ("job.completed", RUNNING),
    "a status nobody knows": ("job.progress", RUNNING | {"status": "dreaming"}),
    "no status": ("job.progress", changed(RUNNING, "status", ...)),
    "no id": ("job.progress", changed(RUNNING, "id", ...)),
    "an id that is none": ("job.progress", RUNNING | {"id": "../../etc/passwd"}),
    "progress beyond the end": ("job.progress", RUNNING | {"progress": 101}),
    "progress before the beginning": ("job.progress", RUNNING | {"progress": -1}),
    "no result": ("job.completed", changed(COMPLETED, "result", ...)),
    "no manifest": ("job.completed", changed(COMPLETED, "result.manifest", ...)),
    "an endless address": ("job.completed", changed(COMPLETED, "result.poster", "a" * 5000)),
    "an empty address": ("job.completed", changed(COMPLETED, "result.poster", "")),
    "no length": ("job.completed", changed(COMPLETED, "result.duration_sec", 0)),
    "a century": ("job.completed", changed(COMPLETED, "result.duration_sec", 3e9)),
    "a width no column holds": ("job.completed", changed(COMPLETED, "result.width", 2**40)),
    "negative bytes": ("job.completed", changed(COMPLETED, "result.bytes", -1)),
    "bytes no column holds": ("job.completed", changed(COMPLETED, "result.bytes", 2**70)),
    "a thousand renditions": ("job.completed", changed(COMPLETED, "result.renditions", [{}] * 99)),
    "an error that is a text": ("job.failed", FAILED | {"error": "it broke"}),
    "a code without end": ("job.failed", changed(FAILED, "error.code", "x" * 65)),
    "a job that is a list": ("job.progress", [RUNNING]),
    "a type that is a number": (7, RUNNING),
    "a type without end": ("job." + "x" * 100, RUNNING),
}


@pytest.mark.parametrize(("type_", "job"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_not_documented_is_unreadable(adapter: SelfHosted, type_: Any, job: Any) -> None:
    with pytest.raises(CallbackUnreadable):
        adapter.read_callback(body(type_, job))


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"null", b'{"type": "job.progress"}', b'{"a": NaN}', b"[" * 100_000]
)
def test_what_is_no_document_of_ours_is_unreadable(adapter: SelfHosted, document: bytes) -> None:
    with pytest.raises(CallbackUnreadable):
        adapter.read_callback(CallbackEnvelope({}, document))
